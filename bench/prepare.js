/** Makes `npm run bench` one command from a fresh clone: installs what is missing, builds the library. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const bench = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

// The root first: the library is linked into the bench, and its own dependencies are the root's.
installIfMissing(root)
installIfMissing(bench)
npm(root, 'run', 'build')

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
