/** With SDK v2 and its own Express application. */
import { createMcpExpressApp } from '@modelcontextprotocol/express'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import {
  clientSecret,
  downstreamToken,
  entraAuth,
  entraScopes,
  oauthRoutes,
  oboToken,
  requireBearer,
} from 'mcp-entra'

const { PORT, AZURE_CLIENT_ID: clientId, GRAPH_URL } = process.env
const graphScopes = ['https://graph.microsoft.com/User.Read']
const baseUrl = `http://localhost:${PORT}`

const auth = entraAuth({
  baseUrl,
  tenantId: process.env.AZURE_TENANT_ID,
  clientId,
  credential: clientSecret(process.env.AZURE_CLIENT_SECRET),
  authorityHost: process.env.AZURE_AUTHORITY_HOST,
  scopes: entraScopes({ clientId, required: ['notes.read'], additional: graphScopes }),
  keys: [process.env.MCP_ENTRA_KEYS],
})

const handler = toNodeHandler(createMcpHandler(mcpServer))
const app = createMcpExpressApp()
app.use(oauthRoutes(auth))
app.all(
  '/mcp',
  requireBearer(auth),
  oboToken(auth, { graph: { scopes: graphScopes, tools: ['my_profile'] } }),
  (req, res) => handler(req, res, req.body),
)
app.listen(Number(PORT), () => console.log(`MCP server: ${baseUrl}/mcp`))

function mcpServer() {
  const server = new McpServer({ name: 'sdk-v2', version: '1.0.0' })
  server.registerTool('my_profile', { description: 'Your profile' }, async ({ http }) => {
    const authorization = `Bearer ${await downstreamToken(http.authInfo, 'graph')}`
    const response = await fetch(`${GRAPH_URL}/me`, { headers: { authorization } })
    return { content: [{ type: 'text', text: await response.text() }] }
  })
  return server
}
