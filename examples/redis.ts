/**
 * Logins in Redis: they survive restarts, and any number of replicas share them. Every replica needs the same Redis
 * and the same MCP_ENTRA_KEYS. A new key comes in two steps, each on every replica before the next one begins: append it
 * (`old,new`), so that all can open what it will seal, and then move it to the front (`new,old`).
 * `npm run example:one build/examples/redis.js` runs it with the Redis at REDIS_URL, against your tenant (AZURE_*, as in
 * README.md), or without AZURE_TENANT_ID against an emulated Entra.
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import { clientSecret, entraAuth, entraScopes, oauthRoutes, requireBearer, userOf } from 'mcp-entra'
import { redisStorage } from 'mcp-entra/redis'
import { createClient } from 'redis'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { REDIS_URL = 'redis://127.0.0.1:6379' } = process.env
const { MCP_ENTRA_KEYS = '' } = process.env // openssl rand -base64 32

/**
 * A client that the rest of the application can use too. It fails at once while Redis is away, and is back soon
 * after. If nothing else needs a client, leave it to `redisStorage({ url: REDIS_URL })` to make one like this.
 */
const redis = createClient({
  url: REDIS_URL,
  disableOfflineQueue: true,
  pingInterval: 5000,
  socket: {
    connectTimeout: 5000,
    socketTimeout: 12_000,
    // Milliseconds until the next attempt: the client's own strategy waits up to two seconds.
    reconnectStrategy: (retries) => Math.min(50 * 2 ** retries, 300) + Math.random() * 100,
  },
})
redis.on('error', (error: Error) => console.warn(`Redis: ${error.message}`))
await redis.connect()

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({ clientId: AZURE_CLIENT_ID, required: ['notes.read'] }),
  keys: MCP_ENTRA_KEYS.split(','),
  storage: redisStorage(redis),
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'redis', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  return server
}

const app = express()
app.use(oauthRoutes(auth))
app.all('/mcp', requireBearer(auth), async (req, res) => {
  const server = mcpServer()
  res.on('close', () => server.close())
  const transport = new StreamableHTTPServerTransport({})
  await server.connect(transport)
  await transport.handleRequest(req, res, req.body)
})
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})
