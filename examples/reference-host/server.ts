/** `npm run example`: the reference host as a program, configured by environment variables alone. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { readSettings, SettingsError } from './settings.js'

try {
  const settings = readSettings(process.env)
  // Loaded only when the settings are good, so that mistakes are shown at once.
  const { createHost } = await import('./host.js')
  const { storage, counts, sessions } = await connections(settings.redisUrl)
  const server = createServer(
    createHost(settings, {
      ...(storage && { storage }),
      ...(counts && { limits: { store: counts.store } }),
      ...(sessions && { sessionStore: sessions.store }),
    }),
  )
  server.listen(settings.port)
  await once(server, 'listening')
  console.log(`Notes MCP server: ${settings.baseUrl}/mcp (listening on port ${settings.port})`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.close(async () => {
        counts?.close()
        sessions?.close()
        await storage?.close()
        process.exit(0)
      })
      server.closeAllConnections()
    })
  }
} catch (error) {
  const lines = error instanceof SettingsError ? error.lines : [(error as Error).message]
  for (const line of lines) console.error(line)
  process.exit(1)
}

/** The storage, the rate limits' counts and the browser sessions, when they are kept in Redis. */
async function connections(redisUrl: string | undefined) {
  if (redisUrl === undefined) return {}
  const { redisStorage } = await import('mcp-entra/redis')
  const { redisCounts } = await import('./redis-counts.js')
  const { redisSessions } = await import('./redis-sessions.js')
  return {
    storage: redisStorage({ url: redisUrl }),
    counts: redisCounts(redisUrl),
    sessions: redisSessions(redisUrl),
  }
}
