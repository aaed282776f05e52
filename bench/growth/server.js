/** One replica over one store, with a clock of its own that stands still unless it is moved. A child process. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import express from 'express'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  memoryStorage,
  oauthRoutes,
  oboToken,
  requireBearer,
} from 'mcp-entra'
import { answerParent } from '../answer-parent.js'
import { fill, mintTokens } from './fill.js'

/** Seconds for which our tokens live: the clock runs ahead by a second for each pass through all of them. */
const accessToken = 30 * 24 * 3600
/** Seconds for one operation on Redis: a machine that is busy with filling must not end the run. */
const deadline = 60
const graph = { scopes: ['https://graph.microsoft.com/User.Read'] }

let auth
let storage
let time = Date.now()
/** How many requests to `/later` make a pass. */
let pass = 1
let inPass = 0

answerParent({
  start,
  fill: (request) => fill(auth.proxy('bench'), request),
  mint: (request) => mintTokens(auth.proxy('bench'), request),
  held: () => ({ grants: storage.size, bytes: storage.bytes }),
  setPass,
  usage,
  memory,
})

/** @returns the port */
async function start({ store, keys, baseUrl, issuer }) {
  storage = await openStorage(store)
  auth = entraAuth({
    ...issuer,
    baseUrl,
    keys,
    storage,
    resources: ['/r'],
    credential: clientSecret('x'.repeat(30)),
    scopes: entraScopes({ clientId: issuer.clientId, required: [issuer.scope] }),
    lifetimes: { accessToken },
    now: () => time,
    logger: { info: () => undefined, warn: () => undefined, error: console.error },
  })
  const server = createServer({ keepAliveTimeout: 600_000 }, makeApp())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server.address().port
}

async function openStorage({ kind, ...where }) {
  if (kind === 'memory') return memoryStorage()
  if (kind === 'redis') {
    const { redisStorage } = await import('mcp-entra/redis')
    return redisStorage(where, { deadline })
  }
  return (await import('mcp-entra/file')).fileStorage(where)
}

function makeApp() {
  const gate = requireBearer(auth)
  const answer = (_req, res) => res.json({ ok: true })
  return express()
    .get('/now', gate, answer)
    .get('/later', moveClock, gate, answer)
    .get('/exchange', gate, oboToken(auth, { graph }), answer)
    .use(oauthRoutes(auth))
}

/** Lets a second go by whenever all tokens have had their turn: so each is looked at again when it comes. */
function moveClock(_req, _res, next) {
  if (inPass++ % pass === 0) time += 1001
  next()
}

function setPass(count) {
  pass = count
  inPass = 0
}

/** CPU in microseconds since the start. */
function usage() {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** Bytes in use once the garbage is gone. */
function memory() {
  setFlagsFromString('--expose_gc')
  const gc = runInNewContext('gc')
  gc()
  gc()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
