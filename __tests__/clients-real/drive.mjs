/**
 * Drives the clients and writes a report: `node drive.mjs report.json '[{ id, folder, version }]'`.
 * Whether a call worked is not for the client to say: it is read from what reached the server.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { clients } from './clients.mjs'
import { startSession } from './sessions.mjs'
import { startUser } from './user.mjs'
import { startWorld, tokenLifetime } from './world.mjs'

const [file, jobs] = process.argv.slice(2)
const driven = JSON.parse(jobs).map(async (job) => {
  const client = clients.find(({ id }) => id === job.id)
  const result = await drive(client, job).catch((error) => ({ phases: [], error: String(error) }))
  const entry = { ...job, name: client.name, packages: client.packages, ...result }
  print(entry)
  return entry
})
// All at once: they wait most of the time, and no two of them listen on the same port.
await writeFile(file, JSON.stringify(await Promise.all(driven), null, 2))
process.exit(0)

async function drive(client, { folder }) {
  const result = await withServer(client, folder, {}, async ({ world, phase }) => {
    await phase('sign-in', 'whoami')
    // A second more, because times are whole seconds.
    await wait((tokenLifetime + 1) * 1000)
    await phase('refresh', 'whoami')
    const { ok } = await phase('step-up', 'add_note', { text: 'a note' })
    await revoke(world)
    await phase('revoked', 'whoami')
    world.loseKeys()
    await phase('keys lost', 'whoami')
    return ok
  })
  if (result.returned) return result
  const offering = { offered: ['notes.write'] }
  const { phases } = await withServer(client, folder, offering, ({ phase }) =>
    phase('offered', 'add_note', { text: 'a note' }),
  )
  return { ...result, phases: [...result.phases, ...phases] }
}

/** A server, a user and a client with a home of its own, for as long as the steps take. */
async function withServer(client, folder, options, steps) {
  const home = await mkdtemp(join(tmpdir(), 'mcp-entra-client-'))
  const cwd = join(home, 'work')
  await mkdir(cwd)
  const world = await startWorld(options)
  const user = await startUser(home)
  const env = {
    HOME: home,
    XDG_CONFIG_HOME: join(home, '.config'),
    PATH: `${user.bin}:${process.env.PATH}`,
    BROWSER: user.browser,
    NO_COLOR: '1',
    TERM: 'dumb',
    ...client.env,
  }
  const context = { url: `${world.url}/mcp`, folder, cwd, env }
  const session = await startSession(client, context)
  const phases = []
  const phase = async (name, tool, args = {}) => {
    // What was opened while the client was set up belongs to its sign-in.
    const visitsFrom = phases.length === 0 ? 0 : user.visits.length
    const outcome = await useTool({ world, user, session, visitsFrom }, tool, args)
    phases.push({ name, ...outcome })
    return outcome
  }
  try {
    const returned = await steps({ world, phase })
    return { setUp: session.setUp, registrations: registrations(world), phases, returned }
  } finally {
    await session.end()
    user.stop()
    await world.close()
    await rm(home, { recursive: true, force: true })
  }
}

/** A user tries up to three times: once as usual, once more, and once after logging in where there is a command for it. */
async function useTool({ world, user, session, visitsFrom }, tool, args) {
  const from = world.seen.length
  const tries = []
  let ok = false
  for (const loggingIn of [false, false, true]) {
    const outcome = await session.attempt(tool, args, loggingIn)
    ok = world.seen.slice(from).some((one) => isCall(one, tool) && one.status === 200)
    tries.push({ ...outcome, loggingIn, ok })
    if (ok) break
  }
  const seen = world.seen.slice(from)
  return {
    ok,
    tries,
    visits: user.visits.slice(visitsFrom),
    grants: seen
      .filter(({ path }) => path === '/token')
      .map(({ request, status }) => `${request?.grant_type} ${status}`),
    refusals: seen
      .filter(({ path, status }) => path === '/mcp' && status >= 400)
      .map(({ status }) => status),
  }
}

function isCall({ path, request }, tool) {
  const messages = Array.isArray(request) ? request : [request]
  return (
    path === '/mcp' &&
    messages.some((one) => one?.method === 'tools/call' && one.params?.name === tool)
  )
}

/** Ends the login that the client used last. A gate may know its token for a second longer. */
async function revoke(world) {
  const used = world.seen.findLast(({ path, status }) => path === '/mcp' && status === 200)
  const issued = world.seen.find(
    ({ path, response }) =>
      path === '/token' && used?.authorization === `Bearer ${response?.access_token}`,
  )
  if (!issued) return
  await world.revoke(issued.response.refresh_token, issued.request.client_id)
  await wait(1500)
}

function registrations({ seen }) {
  return seen
    .filter(({ path }) => path === '/register')
    .map(({ request, status }) => ({ request, status }))
}

function print({ id, version, phases, error }) {
  const marks = phases.map(
    ({ name, ok, tries, visits }) =>
      `${ok ? 'yes' : 'NO'} ${name} (${tries.length} tries, ${visits.length} visits)`,
  )
  console.error(`${id} ${version}: ${marks.join(', ')}${error ? ` ${error}` : ''}`)
}
