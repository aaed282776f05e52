/** One replica of an MCP server behind all four middlewares. A child process. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import express from 'express'
import {
  clientSecret,
  downstreamToken,
  entraAuth,
  entraScopes,
  oauthRoutes,
  oboToken,
  requireBearer,
  scopeGuard,
  userOf,
} from 'mcp-entra'
import { redisStorage } from 'mcp-entra/redis'
import { answerParent } from '../answer-parent.js'

const graph = 'https://graph.microsoft.com/User.Read'
/** Milliseconds between two ticks of the event loop's monitor, which counts them as delay. */
const tick = 10

const server = createServer({ keepAliveTimeout: 120_000 })
const delays = monitorEventLoopDelay({ resolution: tick })
const memory = []
const logged = new Map()

answerParent({ listen, serve, begin, report })

/** @returns the port: the replicas' common address has to be known before they can serve */
async function listen() {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return server.address().port
}

function serve(settings) {
  server.on('request', makeApp(makeAuth(settings)))
}

/** Begins to count. */
function begin() {
  delays.enable()
  setInterval(() => {
    const { rss, heapUsed } = process.memoryUsage()
    memory.push({ at: Date.now(), rss, heapUsed })
  }, 1000)
}

/** @returns memory by the second, the event loop's p99 in milliseconds, seconds of CPU, what the log holds */
function report() {
  const { user, system } = process.cpuUsage()
  return {
    memory,
    delay: delays.percentile(99) / 1e6 - tick,
    cpu: (user + system) / 1e6,
    logged: [...logged],
  }
}

function makeAuth({ baseUrl, redisUrl, keys, tenantId, clientId, secret, authorityHost, seconds }) {
  const log = ({ endpoint, reason }, message) => {
    const line = [message.replace('mcp-entra: ', ''), endpoint, reason].filter(Boolean).join(', ')
    logged.set(line, (logged.get(line) ?? 0) + 1)
  }
  return entraAuth({
    baseUrl,
    tenantId,
    clientId,
    authorityHost,
    credential: clientSecret(secret),
    scopes: entraScopes({
      clientId,
      required: ['notes.read'],
      optional: ['notes.write'],
      implies: { 'notes.write': ['notes.read'] },
      additional: [graph],
    }),
    keys,
    lifetimes: { accessToken: seconds },
    storage: redisStorage({ url: redisUrl }),
    logger: { info: () => undefined, warn: log, error: log },
  })
}

function makeApp(auth) {
  return express()
    .use(oauthRoutes(auth))
    .post(
      '/mcp',
      requireBearer(auth),
      scopeGuard(auth, { tools: { add_note: 'notes.write' } }),
      oboToken(auth, { graph: { scopes: [graph], tools: ['my_profile'] } }),
      answerTool,
    )
    .use((error, _req, res, _next) => {
      res.status(500).json({ error: String(error.message) })
    })
}

/** Says who the caller is, and for `my_profile` whose token for Graph is at hand. */
async function answerTool(req, res) {
  const { id, params } = req.body
  const answer = { oid: userOf(req.auth).oid, scopes: req.auth.scopes }
  if (params.name === 'my_profile') {
    const [, claims] = (await downstreamToken(req.auth, 'graph')).split('.')
    answer.graph = JSON.parse(Buffer.from(claims, 'base64url').toString()).oid
  }
  res.json({ jsonrpc: '2.0', id, result: { structuredContent: answer } })
}
