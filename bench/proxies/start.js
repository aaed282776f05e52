/** Starts Entra and the proxies, each in a process of its own, and stops them. */
import { startChild } from '../child.js'
import { keepOffServerCore, pinServer } from '../pin.js'
import { hasRedis, startRedis } from '../private-redis.js'
import { openLine } from './browser.js'
import { contestants } from './contestants.js'
import { discover } from './login.js'

/**
 * @param progress is told what happens
 * @param work gets the running proxies: `{ name, ask, endpoints }`
 */
export async function withProxies(progress, work) {
  const started = []
  try {
    const redis = await findRedis()
    if (!redis) progress('no Redis: neither REDIS_URL nor redis-server')
    else if (redis.close) started.push({ stop: redis.close })
    const entra = start(started, 'proxies/entra.js')
    keepOffServerCore(entra.pid)
    const settings = await entra.ask('start')
    const proxies = []
    for (const [name, contestant] of Object.entries(contestants)) {
      if (contestant.needsRedis && !redis) continue
      progress(`starting ${name}`)
      const child = start(started, 'proxies/server.js', [contestant.module])
      pinServer(child.pid)
      proxies.push({
        name,
        ...child,
        endpoints: await endpointsOf(child, settings, contestant, redis),
      })
    }
    return await work(proxies)
  } finally {
    for (const { stop } of started.reverse()) await stop()
  }
}

/** `REDIS_URL`, or a private server, or undefined. */
async function findRedis() {
  const { REDIS_URL } = process.env
  if (REDIS_URL) return { url: REDIS_URL }
  return hasRedis ? startRedis() : undefined
}

function start(started, ...args) {
  const child = startChild(...args)
  started.push(child)
  return child
}

async function endpointsOf({ ask }, entra, { settings, scope = entra.scope }, redis) {
  const { port } = await ask('start', { entra, settings: { ...settings, redisUrl: redis?.url } })
  const line = openLine()
  try {
    const endpoints = await discover(line, `http://127.0.0.1:${port}`)
    return { ...endpoints, scope, resource: `${endpoints.baseUrl}/mcp` }
  } finally {
    line.close()
  }
}
