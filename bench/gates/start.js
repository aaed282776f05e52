/** Starts the servers, sees that their gates work at all, and measures them. */
import { startChild } from '../child.js'
import { startIssuer } from '../issuer.js'
import { pinServer } from '../pin.js'
import { guarded, pace, refused, seen, servers, unseen } from './cells.js'
import { load } from './load.js'
import { measureRounds } from './measure.js'
import { garbage, makeDpopKey, makeTokens, rawRequest } from './requests.js'

/** Of the client whose tokens are bound. */
const dpopKey = makeDpopKey()

/** @returns samples by cell, and bytes of memory by server after the last round */
export async function measureGates(options, progress) {
  const issuer = await startIssuer()
  const running = new Map()
  try {
    progress(`starting ${Object.keys(servers).length} servers`)
    await startServers(issuer, running)
    for (const [name, server] of running) await check(name, server)
    progress('signing tokens')
    const prepare = preparation(running, issuer)
    const cells = [...seen, ...guarded, ...unseen, ...refused].map(prepare)
    const samples = await measureRounds(cells, prepare(pace), options, progress)
    return { samples, memory: await memoryOf(running) }
  } finally {
    for (const { stop } of running.values()) stop()
    issuer.stop()
  }
}

/** All at once, except for those that take the tokens of another one. */
async function startServers(issuer, running) {
  const start = async ([name, server]) => {
    running.set(name, await startServer(issuer, server, running))
  }
  const entries = Object.entries(servers)
  await Promise.all(entries.filter(([, { trusts }]) => !trusts).map(start))
  await Promise.all(entries.filter(([, { trusts }]) => trusts).map(start))
}

async function startServer(issuer, { variant, settings, trusts, bound }, running) {
  const trusted = trusts && running.get(trusts)
  const { ask, stop, pid } = startChild('gates/server.js', [variant])
  pinServer(pid)
  const answer = await ask('start', {
    ...issuer.settings,
    ...settings,
    ...(bound && { jkt: dpopKey.jkt }),
    ...(trusted && { ...trusted.own, jwksUri: issuer.publish(trusted.own.keys) }),
    upstreamToken: issuer.token(),
  })
  const { port, own } = answer
  const usable = bound ? [] : own?.tokens
  const good = trusted ? trusted.own.tokens : [issuer.token(), ...(usable ?? [])]
  return { ask, stop, port, own, gated: variant !== 'bare', good: good.slice(0, 2) }
}

/** A gate that lets garbage in, or good tokens not, is not worth measuring. */
async function check(name, { port, good, gated }) {
  const refused = gated
    ? [
        [garbage(), 401],
        [undefined, 401],
      ]
    : []
  for (const [token, status] of [...good.map((token) => [token, 200]), ...refused]) {
    const next = () => rawRequest(token)
    await load({ port, next, connections: 1, seconds: 0, atLeast: 1, status }).catch((cause) => {
      throw new Error(`${name}: ${cause.message}`, { cause })
    })
  }
}

/** @returns a function from a cell to the means to measure it */
function preparation(running, issuer) {
  const own = Object.fromEntries([...running].map(([name, server]) => [name, server.own?.tokens]))
  const tokens = makeTokens(issuer, own)
  return ({ name, server, path, share = 1, status = 200, proves, ...cell }) => {
    const { port, ask } = running.get(server)
    const requests = tokens[cell.tokens].map((token) => rawRequest(token, path))
    const fresh = proves && freshRequests(tokens[cell.tokens], port)
    return { name, port, ask, status, share, requests, fresh }
  }
}

/** With a proof that never came before: the load generator signs it, and the bare route gets the same bytes. */
function freshRequests(tokens, port) {
  let position = 0
  return () => dpopKey.request(tokens[position++ % tokens.length], `http://127.0.0.1:${port}/r`)
}

async function memoryOf(running) {
  const memory = new Map()
  for (const [name, { ask }] of running) memory.set(name, (await ask('usage')).rss)
  return memory
}
