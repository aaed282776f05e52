/**
 * The official MCP conformance runner against the reference host: `node __tests__/conformance/run.mjs`.
 * `authorization` for every spec date, driven as a user would; `server` through a proxy that adds the bearer
 * token the runner cannot send; `client` for the one scenario whose client a test of ours lets loose on the host as
 * well (`flows/cross-app-access`): the runner brings an authorization server of its own. Prints a line for each check that is not a success; `--json file` keeps all;
 * `--install` gets the runner and does no more.
 * Needs `dist/` and `build/` (`npm run check`); the runner needs Node 22 and brings it.
 */
import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { freePort } from '../../bench/free-port.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const node22 = join(here, 'node_modules/node/bin/node')
const runner = join(here, 'node_modules/@modelcontextprotocol/conformance/dist/index.js')

const specDates = ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28']
/** Which host is put to which revision: SDK v1 of the reference host does not speak 2026-07-28. */
const serverSuites = [
  { host: 'reference', revision: '2025-11-25' },
  { host: 'sdk-v2', revision: '2025-11-25' },
  { host: 'sdk-v2', revision: '2026-07-28' },
]

/** Milliseconds for one run of the runner. */
const deadline = 120_000

/** Milliseconds to get the runner from the npm registry. */
const installDeadline = 180_000

const { values: flags } = parseArgs({
  options: { json: { type: 'string' }, install: { type: 'boolean', default: false } },
})
if (!(await install())) {
  console.error('The conformance runner is not here, and npm cannot get it: see above.')
  process.exit(1)
}
if (flags.install) process.exit(0)
const { startEntra } = await import('../../dist/testing/index.js')
const { createHost } = await import('../../build/examples/reference-host/host.js')
const { Browser } = await import('../../build/examples/demo/browser.js')
const { createSdkV2Host } = await import('./sdk-v2-host.mjs')

const entra = await startEntra()
const reference = await listen((url) => createHost(settings(url)))
const sdkV2 = await listen((url) => createSdkV2Host(settings(url)))
const report = []
try {
  for (const specVersion of specDates) {
    for (const resource of [undefined, `${reference.url}/mcp`]) {
      report.push(await authorization(reference.url, specVersion, resource))
    }
  }
  for (const { host, revision } of serverSuites) {
    report.push(await server(host === 'reference' ? reference : sdkV2, host, revision))
  }
  report.push(await client('auth/enterprise-managed-authorization', 'cross-app-client.mjs'))
} finally {
  await Promise.all([reference.close(), sdkV2.close(), entra.close()])
}
for (const run of report) print(run)
if (flags.json) await writeFile(flags.json, JSON.stringify(report, null, 2))
process.exitCode = report.every(({ exitCode }) => exitCode === 0) ? 0 : 1

/** `npm ci` in this folder when it has not been done. */
async function install() {
  if (existsSync(runner) && existsSync(node22)) return true
  const npm = spawn('npm', ['ci', '--no-audit', '--no-fund', '--fetch-retries=1'], {
    cwd: here,
    stdio: 'inherit',
    timeout: installDeadline,
  })
  await once(npm, 'close')
  return existsSync(runner) && existsSync(node22)
}

async function listen(app) {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://localhost:${server.address().port}`
  entra.addRedirectUri(`${url}/auth/callback`)
  server.on('request', app(url))
  return {
    url,
    async close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

function settings(baseUrl) {
  return {
    port: 0,
    baseUrl,
    tenantId: entra.tenant.id,
    clientId: entra.app.clientId,
    clientSecret: entra.app.secrets[0],
    authorityHost: entra.url,
    keys: [randomBytes(32).toString('base64')],
    refreshGrace: undefined,
    redisUrl: undefined,
    graphUrl: entra.graphUrl,
  }
}

/** Every metadata and code check of one spec date. The runner prints where to send the user, and waits. */
async function authorization(url, specVersion, resource) {
  const port = await freePort()
  const redirectUri = `http://127.0.0.1:${port}/callback`
  const clientId = await register(url, redirectUri)
  const args = ['--url', url, '--client-id', clientId, '--spec-version', specVersion]
  const more = resource === undefined ? [] : ['--resource', resource]
  const result = await run(['authorization', ...args, ...more, '-p', String(port)], (line) => {
    if (/^https?:\/\/\S*response_type=code\S*$/.test(line)) return logIn(line)
  })
  return { command: 'authorization', specVersion, resource: resource !== undefined, ...result }
}

/** What a server must do according to one revision, but for what its expected-failures file explains. */
async function server(target, host, revision) {
  const injector = await bearerInjector(target.url, await tokenOf(target.url))
  const expected = join(here, `expected-failures-${host}-${revision}.yml`)
  const args = ['--url', `${injector.url}/mcp`, '--requirements', revision, '--timeout', '10000']
  const result = await run(['server', ...args, '--expected-failures', expected])
  await injector.close()
  return { command: 'server', host, revision, ...result }
}

/** What a client must do, in one scenario. @param program the client, in this folder */
async function client(scenario, program) {
  const command = `${process.execPath} ${join(here, program)}`
  const result = await run(['client', '--command', command, '--scenario', scenario])
  return { command: 'client', scenario, ...result }
}

/** Runs the runner, feeds its lines to whoever listens, and reads the checks it wrote. */
async function run(args, heard = async () => undefined) {
  const folder = await mkdtemp(join(tmpdir(), 'mcp-entra-conformance-'))
  const child = spawn(node22, [runner, ...args, '-o', folder], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: deadline,
  })
  const lines = []
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => {
      lines.push(line)
      // A login that fails shows as the failure of a check; here is why.
      heard(line.trim())?.catch((error) => lines.push(`login: ${error.stack}`))
    })
  }
  const [exitCode] = await once(child, 'close')
  const checks = await readChecks(folder)
  await rm(folder, { recursive: true })
  return { exitCode, checks, output: lines.join('\n') }
}

async function readChecks(folder) {
  const files = await readdir(folder, { recursive: true })
  const scenarios = files.filter((file) => basename(file) === 'checks.json').map(dirname)
  const checks = scenarios.map(async (name) => {
    const scenario = name.replace(/-\d{4}-\d\d-\d\dT[\d-]+Z$/, '').replace(/^server-(?=.)/, '')
    const found = JSON.parse(await readFile(join(folder, name, 'checks.json'), 'utf8'))
    return found.map(({ id, status, errorMessage }) => ({ scenario, id, status, errorMessage }))
  })
  return (await Promise.all(checks)).flat()
}

async function register(url, redirectUri) {
  const response = await fetch(`${url}/register`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      client_name: 'Conformance runner',
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'none',
    }),
  })
  return (await response.json()).client_id
}

/** The user: reads the consent page, approves, signs in. Ends where the client listens. */
async function logIn(authorizeUrl, stopAt = () => false) {
  const target = new URL(authorizeUrl)
  target.searchParams.set('login_hint', entra.users[0].username)
  const browser = new Browser({ stopAt })
  return browser.press(await browser.open(target.href), 'approve')
}

/** An access token of the host, as any client gets it. */
async function tokenOf(url) {
  const redirectUri = 'http://127.0.0.1:33418/callback'
  const clientId = await register(url, redirectUri)
  const verifier = randomBytes(32).toString('base64url')
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: 'notes.read notes.write',
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  })
  const answer = await logIn(`${url}/authorize?${query}`, (to) => to.startsWith(redirectUri))
  const body = new URLSearchParams({
    grant_type: 'authorization_code',
    code: new URL(answer.url).searchParams.get('code'),
    code_verifier: verifier,
    client_id: clientId,
    redirect_uri: redirectUri,
  })
  const response = await fetch(`${url}/token`, { method: 'POST', body })
  return (await response.json()).access_token
}

/** Passes everything on, `Host` and `Origin` included, with a token the runner has no option for. */
function bearerInjector(target, token) {
  const { port } = new URL(target)
  return listen(() => (req, res) => {
    const { method, url: path } = req
    const headers = { ...req.headers, authorization: `Bearer ${token}` }
    const onward = request({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      res.writeHead(answer.statusCode, answer.headers)
      answer.pipe(res)
    })
    onward.on('error', () => res.destroy())
    res.on('close', () => onward.destroy())
    req.pipe(onward)
  })
}

function print(run) {
  const { command, specVersion, resource, host, revision, scenario, exitCode, checks, output } = run
  const counts = Object.groupBy?.(checks, ({ status }) => status) ?? group(checks)
  const title = {
    server: `${host}, ${revision}`,
    client: scenario,
    authorization: `${specVersion}${resource ? ', resource' : ''}`,
  }[command]
  const summary = Object.entries(counts).map(([status, { length }]) => `${length} ${status}`)
  console.log(`${exitCode === 0 ? 'ok  ' : 'FAIL'} ${command} (${title}): ${summary.join(', ')}`)
  for (const { scenario: where, id, status, errorMessage } of checks) {
    if (!['SUCCESS', 'INFO'].includes(status)) {
      console.log(`     ${status} ${where}/${id}: ${errorMessage ?? ''}`)
    }
  }
  if (exitCode !== 0) console.log(output.replace(/^/gm, '     | '))
}

/** `Object.groupBy` came with Node 21. */
function group(checks) {
  const groups = {}
  for (const check of checks) {
    groups[check.status] = [...(groups[check.status] ?? []), check]
  }
  return groups
}
