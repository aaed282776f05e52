/**
 * Two MCP servers behind one proxy: one app registration, one login page, one set of keys. Each has its own metadata
 * document and its own audience, so a token that a client got for the notes does not open the calendar.
 * `npm run example:one build/examples/two-resources.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import { clientSecret, entraAuth, entraScopes, oauthRoutes, requireBearer, userOf } from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { MCP_ENTRA_KEYS = '' } = process.env // openssl rand -base64 32

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({ clientId: AZURE_CLIENT_ID, required: ['notes.read'] }),
  // The first one is the default. A token for one of them is refused by the other.
  resources: ['/notes/mcp', '/calendar/mcp'],
  keys: MCP_ENTRA_KEYS.split(','),
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(topic: string): McpServer {
  const server = new McpServer({ name: topic, version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify({ topic, ...userOf(authInfo) }) }],
  }))
  return server
}

const app = express()
app.use(oauthRoutes(auth))
for (const topic of ['notes', 'calendar']) {
  const resource = `/${topic}/mcp`
  app.all(resource, requireBearer(auth, { resource }), async (req, res) => {
    const server = mcpServer(topic)
    res.on('close', () => server.close())
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  })
}
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/notes/mcp and ${BASE_URL}/calendar/mcp`)
})
