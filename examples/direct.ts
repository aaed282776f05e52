/**
 * Direct mode: clients get their tokens from Entra themselves, and the server keeps no state: no keys, no store, no
 * secret. On-behalf-of is proven by a managed identity, which the app registration names under _Federated credentials_.
 * Each client needs an app registration of its own. The App ID URIs have to include the URL of the MCP endpoint, because
 * MCP clients send it as `resource`; Entra takes it as one once `requestedAccessTokenVersion` is 2.
 * `npm run example:one build/examples/direct.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import {
  clientSecret,
  downstreamToken,
  entraAuth,
  entraScopes,
  managedIdentity,
  oboToken,
  requireBearer,
  resourceMetadata,
  userOf,
} from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { MANAGED_IDENTITY_CLIENT_ID } = process.env // of the user-assigned identity
const { GRAPH_URL = 'https://graph.microsoft.com/v1.0' } = process.env

const graphScopes = ['https://graph.microsoft.com/User.Read']

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
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'direct', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  server.registerTool('my_profile', { description: 'Your profile' }, async ({ authInfo }) => {
    const headers = { authorization: `Bearer ${await downstreamToken(authInfo, 'graph')}` }
    const signal = AbortSignal.timeout(10_000)
    const response = await fetch(`${GRAPH_URL}/me`, { headers, signal })
    if (!response.ok) throw new Error(`Microsoft Graph answered ${response.status}`)
    return { content: [{ type: 'text', text: await response.text() }] }
  })
  return server
}

const app = express()
app.use(resourceMetadata(auth))
app.all(
  '/mcp',
  requireBearer(auth),
  oboToken(auth, { graph: { scopes: graphScopes, tools: ['my_profile'] } }),
  async (req, res) => {
    const server = mcpServer()
    res.on('close', () => server.close())
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  },
)
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})
