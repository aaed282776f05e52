/** Clients from the npm registry, each in a folder of its own below `build/clients`. */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const installs = fileURLToPath(new URL('../../build/clients', import.meta.url))

/**
 * Installs packages, `name@version` each, with the Node that is first in this PATH.
 *
 * @returns the folder
 * @throws Error with what npm says
 */
export function install(name, packages, path) {
  const folder = join(installs, name)
  mkdirSync(folder, { recursive: true })
  const manifest = { private: true, type: 'module', allowScripts: { node: true } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  const args = ['install', '--no-audit', '--no-fund', '--loglevel=error', ...packages]
  const env = { ...process.env, PATH: path }
  const { status, stderr } = spawnSync('npm', args, { cwd: folder, env, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm ${args.join(' ')}:\n${stderr}`)
  return folder
}

/** The version of an installed package. */
export function versionOf(folder, name) {
  return JSON.parse(readFileSync(join(folder, 'node_modules', name, 'package.json'), 'utf8'))
    .version
}
