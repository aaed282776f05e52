/**
 * Published MCP clients, as npm has them today, against the reference host and an emulated Entra: `npm run clients`, or
 * `npm run clients -- mcp-remote sdk-v2` for some of them. Each is driven through discovery, registration, sign-in, a
 * tool call, step-up, refresh, revocation and the loss of the server's keys; docs/clients.md is written from what
 * happened when all were driven.
 *
 * Not part of `npm test`: it downloads half a gigabyte, takes minutes, and what comes of it is for other people to
 * change. It ends with 1 when a client cannot sign in and call a tool.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { clients } from './clients.mjs'
import { install, versionOf } from './install.mjs'
import { page } from './page.mjs'

const drive = fileURLToPath(new URL('drive.mjs', import.meta.url))
const document = fileURLToPath(new URL('../../docs/clients.md', import.meta.url))

/** Several of the clients need it, and under an older one npm silently installs old versions of them. */
const nodeVersion = '24'

const wanted = process.argv.slice(2)
const known = clients.map(({ id }) => id)
const unknown = wanted.filter((id) => !known.includes(id))
if (unknown.length > 0) {
  console.error(`No such client: ${unknown.join(', ')}. There are: ${known.join(', ')}`)
  process.exit(2)
}

const chosen = clients.filter(({ id }) => wanted.length === 0 || wanted.includes(id))
const nodeFolder = install('node', [`node@${nodeVersion}`], process.env.PATH)
const node = join(nodeFolder, 'node_modules/node/bin/node')
const path = `${dirname(node)}:${process.env.PATH}`
const jobs = chosen.map(({ id, packages }) => {
  console.error(`installing ${packages.join(', ')}`)
  const newest = packages.map((name) => `${name}@latest`)
  const folder = install(id, newest, path)
  return { id, folder, version: versionOf(folder, packages[0]) }
})

const file = join(nodeFolder, 'report.json')
await writeFile(file, '[]')
const [command, args] = isolated([node, drive, file, JSON.stringify(jobs)])
const env = { ...process.env, PATH: path }
const [code] = await once(spawn(command, args, { stdio: 'inherit', env }), 'close')
const report = JSON.parse(await readFile(file, 'utf8'))
const failed = report.filter(({ phases }) => !phases[0]?.ok).map(({ id }) => id)
if (failed.length > 0) console.error(`cannot sign in and call a tool: ${failed.join(', ')}`)
if (wanted.length === 0 && report.length === clients.length) {
  await writeFile(document, page(report, new Date()))
  console.error('docs/clients.md is written')
}
process.exitCode = code === 0 && failed.length === 0 && report.length === chosen.length ? 0 : 1

/**
 * A command that has no network but loopback, and whose descendants all end with it: some clients leave daemons behind.
 * Where the system does not let us, it runs as it is.
 */
function isolated(command) {
  const namespaces = ['--net', '--pid', '--fork', '--kill-child', '--mount-proc', '--map-root-user']
  const start = ['sh', '-c', 'ip link set lo up && exec "$@"', 'sh']
  if (spawnSync('unshare', [...namespaces, ...start, 'true']).status === 0) {
    return ['unshare', [...namespaces, ...start, ...command]]
  }
  console.error('no `unshare` here: the clients are not kept from the network')
  return [command[0], command.slice(1)]
}
