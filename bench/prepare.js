/** Makes `npm run bench` one command from a fresh clone: installs what is missing, builds the library. */
import { spawnSync } from 'node:child_process'
import { existsSync, rmSync, symlinkSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const bench = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

installIfMissing(root)
installIfMissing(bench)
linkLibrary()
npm(root, 'run', 'build')

/**
 * The library finds its own dependencies in the root. As a `file:` dependency, `npm ci` would build it, and that before
 * the root is installed.
 */
function linkLibrary() {
  const link = new URL('node_modules/mcp-entra', import.meta.url)
  rmSync(link, { force: true })
  symlinkSync(root, link, 'junction')
}

function installIfMissing(folder) {
  if (existsSync(new URL('node_modules/.package-lock.json', `file://${folder}`))) return
  npm(folder, 'ci', '--ignore-scripts', '--no-audit', '--no-fund')
}

function npm(folder, ...args) {
  // An explicit prefix: this script may itself run under `npm --prefix bench`.
  const { status, error } = spawnSync('npm', ['--prefix', folder, ...args], {
    cwd: folder,
    stdio: ['ignore', 2, 2],
  })
  if (error) throw error
  if (status !== 0) process.exit(status ?? 1)
}
