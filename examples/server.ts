/** The reference host as a program: `npm run example`, configured by environment variables alone. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { redisStorage } from 'mcp-entra/redis'
import { createHost } from './host.js'
import { redisCounts } from './redis-counts.js'
import { readSettings, SettingsError } from './settings.js'

try {
  const settings = readSettings(process.env)
  const { redisUrl } = settings
  const storage = redisUrl === undefined ? undefined : redisStorage({ url: redisUrl })
  const counts = redisUrl === undefined ? undefined : redisCounts(redisUrl)
  const server = createServer(
    createHost(settings, {
      ...(storage && { storage }),
      ...(counts && { limits: { store: counts.store } }),
    }),
  )
  server.listen(settings.port)
  await once(server, 'listening')
  console.log(`Notes MCP server: ${settings.baseUrl}/mcp (listening on port ${settings.port})`)
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      server.close(async () => {
        counts?.close()
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
