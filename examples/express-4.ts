/**
 * Express 4.18 or later: the same lines as in Express 5. The middlewares hand every error on themselves, so it does not
 * matter that Express 4 does not wait for promises; your own async handlers have to catch theirs.
 * `npm run example:one build/examples/express-4.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
// In your application: from 'express'. Here version 4 has another name, because 5 is installed too.
import express from 'express4'
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
  const server = new McpServer({ name: 'express-4', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  return server
}

const app = express()
app.use(oauthRoutes(auth))
app.all('/mcp', requireBearer(auth), (req, res, next) => {
  const server = mcpServer()
  res.on('close', () => server.close())
  const transport = new StreamableHTTPServerTransport({})
  server
    .connect(transport)
    .then(() => transport.handleRequest(req, res, req.body))
    .catch(next)
})
app.listen(Number(PORT), () => console.log(`MCP server: ${BASE_URL}/mcp`))
