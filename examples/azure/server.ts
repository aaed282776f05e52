/**
 * A server for a container or App Service: it tells the platform how it is, and goes when it is told without cutting
 * anybody off. `Dockerfile` makes an image of it; `container-apps.bicep` and `app-service.bicep` say where it runs.
 * `npm run example:one build/examples/azure/server.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  managedIdentity,
  oauthRoutes,
  requireBearer,
  userOf,
} from 'mcp-entra'
import { redisStorage } from 'mcp-entra/redis'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { MANAGED_IDENTITY_CLIENT_ID } = process.env // of the user-assigned identity
const { MCP_ENTRA_KEYS = '' } = process.env // openssl rand -base64 32
const { REDIS_URL } = process.env // as soon as there is more than one replica
const { DRAIN_SECONDS = '5' } = process.env

const storage = REDIS_URL ? redisStorage({ url: REDIS_URL }) : undefined
const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  // The identity in Azure, and a secret on your own machine, which has no identity.
  credential: MANAGED_IDENTITY_CLIENT_ID
    ? managedIdentity({ clientId: MANAGED_IDENTITY_CLIENT_ID })
    : clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({ clientId: AZURE_CLIENT_ID, required: ['notes.read'] }),
  keys: MCP_ENTRA_KEYS.split(','),
  ...(storage && { storage }),
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'azure', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  return server
}

let isLeaving = false
const app = express()
// Neither asks Redis or Entra. While one of them is away the server answers 503 and recovers by itself: a restart of all
// replicas at once would help nobody.
app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }))
app.get('/readyz', (_req, res) => void res.status(isLeaving ? 503 : 200).json({ isLeaving }))
app.use(oauthRoutes(auth))
app.all('/mcp', requireBearer(auth), async (req, res) => {
  const server = mcpServer()
  res.on('close', () => server.close())
  const transport = new StreamableHTTPServerTransport({})
  await server.connect(transport)
  await transport.handleRequest(req, res, req.body)
})
const server = app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})

/** Not ready first, so that the load balancer sends nobody new; then the requests that are here come to their end. */
async function leave(): Promise<void> {
  isLeaving = true
  await new Promise((resolve) => setTimeout(resolve, Number(DRAIN_SECONDS) * 1000))
  const closed = new Promise((resolve) => server.close(resolve))
  server.closeIdleConnections()
  // The platforms kill after 30 seconds.
  setTimeout(() => server.closeAllConnections(), 20_000).unref()
  await closed
  await storage?.close()
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void leave())
