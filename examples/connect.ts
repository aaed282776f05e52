/**
 * Connect, or plain `node:http`: nothing here is Express's. `app.use('/mcp', …)` also lets `/mcp/anything` in, behind the
 * same gate.
 * `npm run example:one build/examples/connect.js`
 */
import { createServer } from 'node:http'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import connect from 'connect'
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
  keys: MCP_ENTRA_KEYS.split(','),
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'connect', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  return server
}

const app = connect()
app.use(oauthRoutes(auth))
app.use('/mcp', requireBearer(auth))
app.use('/mcp', (req, res, next) => {
  const server = mcpServer()
  res.on('close', () => server.close())
  const transport = new StreamableHTTPServerTransport({})
  server
    .connect(transport)
    .then(() => transport.handleRequest(req, res))
    .catch(next)
})
createServer(app).listen(Number(PORT), () => console.log(`MCP server: ${BASE_URL}/mcp`))
