/** Which machine and which versions a run was made with. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cpus, release, totalmem, type } from 'node:os'

/** @returns {string} the machine, in a line */
export function describeMachine() {
  const processors = cpus()
  const memory = (totalmem() / 1024 ** 3).toFixed(0)
  return `${processors.length} x ${processors[0]?.model.trim()}, ${memory} GB, ${type()} ${release()}`
}

/** @returns {string} Node, the library, its peers and what they run on, in a line */
export function describeVersions() {
  const { dependencies } = readJson('package.json')
  const packages = Object.keys(dependencies).map((name) => [name, versionOf(name)])
  const stores = ['lmdb', 'redis'].map((name) => [name, versionOf(name, '../node_modules')])
  const all = [
    ['Node', process.versions.node],
    ['OpenSSL', process.versions.openssl],
    ['mcp-entra', readJson('../package.json').version],
    ...packages,
    ...stores,
    ['redis-server', redisVersion()],
  ]
  return all.map(([name, version]) => `${name} ${version}`).join(', ')
}

function versionOf(name, folder = 'node_modules') {
  return readJson(`${folder}/${name}/package.json`).version
}

function readJson(path) {
  return JSON.parse(readFileSync(new URL(path, import.meta.url)))
}

function redisVersion() {
  const { stdout } = spawnSync('redis-server', ['--version'], { encoding: 'utf8' })
  return /v=(\S+)/.exec(stdout ?? '')?.[1] ?? 'not here'
}
