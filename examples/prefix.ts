/**
 * Behind a prefix: clients use https://apps.contoso.com/notes/mcp, and the redirect URI of the app registration is
 * https://apps.contoso.com/notes/auth/callback. The reverse proxy sends us `/notes/`, with the prefix, and these three
 * addresses at the root of the host, where clients look for them (RFC 8414 and RFC 9728, section 3):
 *
 *     location /notes/                                              { proxy_pass http://127.0.0.1:3000; }
 *     location = /.well-known/oauth-authorization-server/notes      { proxy_pass http://127.0.0.1:3000; }
 *     location = /.well-known/oauth-protected-resource/notes/mcp    { proxy_pass http://127.0.0.1:3000; }
 *
 * A proxy that strips the prefix breaks the login: let it pass the path as it is (nginx: no URI in `proxy_pass`).
 * `BASE_URL=http://localhost:3000/notes npm run example:one build/examples/prefix.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import { clientSecret, entraAuth, entraScopes, oauthRoutes, requireBearer, userOf } from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}/notes` } = process.env
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
  const server = new McpServer({ name: 'prefix', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  return server
}

const app = express()
// Mounted at the root all the same: it knows the prefix from `baseUrl`, and metadata documents are at the root of a host.
app.use(oauthRoutes(auth))
app.all('/notes/mcp', requireBearer(auth), async (req, res) => {
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
