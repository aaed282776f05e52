/** In Connect, and without any optional peer: the tool is answered by hand. */
import connect from 'connect'
import {
  authOf,
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

const app = connect()
app.use(oauthRoutes(auth))
app.use('/mcp', requireBearer(auth))
app.use('/mcp', oboToken(auth, { graph: { scopes: graphScopes, tools: ['my_profile'] } }))
app.use('/mcp', (req, res, next) => {
  profile(authOf(req)).then((text) => {
    const result = { content: [{ type: 'text', text }] }
    res.setHeader('Content-Type', 'application/json')
    res.end(JSON.stringify({ jsonrpc: '2.0', id: req.body.id, result }))
  }, next)
})
app.listen(Number(PORT), () => console.log(`MCP server: ${baseUrl}/mcp`))

async function profile(authInfo) {
  const authorization = `Bearer ${await downstreamToken(authInfo, 'graph')}`
  const response = await fetch(`${GRAPH_URL}/me`, { headers: { authorization } })
  return response.text()
}
