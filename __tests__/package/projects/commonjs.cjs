/** `require`, in Express 4.18 and with SDK v1. */
const express = require('express')
const { McpServer } = require('@modelcontextprotocol/sdk/server/mcp.js')
const {
  StreamableHTTPServerTransport,
} = require('@modelcontextprotocol/sdk/server/streamableHttp.js')
const entra = require('mcp-entra')

const { PORT, AZURE_CLIENT_ID: clientId, GRAPH_URL } = process.env
const graphScopes = ['https://graph.microsoft.com/User.Read']
const baseUrl = `http://localhost:${PORT}`

const auth = entra.entraAuth({
  baseUrl,
  tenantId: process.env.AZURE_TENANT_ID,
  clientId,
  credential: entra.clientSecret(process.env.AZURE_CLIENT_SECRET),
  authorityHost: process.env.AZURE_AUTHORITY_HOST,
  scopes: entra.entraScopes({ clientId, required: ['notes.read'], additional: graphScopes }),
  keys: [process.env.MCP_ENTRA_KEYS],
})

const app = express()
app.use(entra.oauthRoutes(auth))
app.all(
  '/mcp',
  entra.requireBearer(auth),
  entra.oboToken(auth, { graph: { scopes: graphScopes, tools: ['my_profile'] } }),
  async (req, res) => {
    const server = mcpServer()
    res.on('close', () => server.close())
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  },
)
app.listen(Number(PORT), () => console.log(`MCP server: ${baseUrl}/mcp`))

function mcpServer() {
  const server = new McpServer({ name: 'commonjs', version: '1.0.0' })
  server.registerTool('my_profile', { description: 'Your profile' }, async ({ authInfo }) => {
    const authorization = `Bearer ${await entra.downstreamToken(authInfo, 'graph')}`
    const response = await fetch(`${GRAPH_URL}/me`, { headers: { authorization } })
    return { content: [{ type: 'text', text: await response.text() }] }
  })
  return server
}
