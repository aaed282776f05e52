/**
 * A tool that calls Microsoft Graph on behalf of the signed-in user. The app registration needs the delegated
 * permission `User.Read` (API permissions > Microsoft Graph).
 * `npm run example:one build/examples/graph.js` runs it against your tenant (AZURE_*, as in README.md), or without
 * AZURE_TENANT_ID against an emulated Entra and Graph.
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import {
  clientSecret,
  downstreamToken,
  entraAuth,
  entraScopes,
  oauthRoutes,
  oboToken,
  requireBearer,
} from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { GRAPH_URL = 'https://graph.microsoft.com/v1.0' } = process.env
const { MCP_ENTRA_KEYS = '' } = process.env // openssl rand -base64 32

/** In full: Entra needs to know which API a scope belongs to. */
const graphScopes = ['https://graph.microsoft.com/User.Read']

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({
    clientId: AZURE_CLIENT_ID,
    required: ['notes.read'],
    // Users consent to these when they sign in, so that the tool needs no second login.
    additional: graphScopes,
    descriptions: {
      'notes.read': 'Read your notes',
      'https://graph.microsoft.com/User.Read': 'Your Microsoft profile',
    },
  }),
  keys: MCP_ENTRA_KEYS.split(','),
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'graph', version: '1.0.0' })
  server.registerTool(
    'my_profile',
    { description: 'Your profile in Microsoft Graph' },
    async ({ authInfo }) => {
      const token = await downstreamToken(authInfo, 'graph')
      const response = await fetch(`${GRAPH_URL}/me`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(10_000),
      })
      if (!response.ok) throw new Error(`Microsoft Graph answered ${response.status}`)
      return { content: [{ type: 'text', text: JSON.stringify(await response.json()) }] }
    },
  )
  return server
}

const app = express()
app.use(oauthRoutes(auth))
app.all(
  '/mcp',
  requireBearer(auth),
  // Exchanges the user's token before `my_profile` runs. When Entra refuses (consent, MFA, an outage), the MCP
  // client gets an answer it can act on, and the tool does not run.
  oboToken(auth, { graph: { scopes: graphScopes, tools: ['my_profile'] } }),
  async (req, res) => {
    const server = mcpServer()
    res.on('close', () => server.close())
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    // The body was parsed by `oboToken`, to see which tool is called: hand it on.
    await transport.handleRequest(req, res, req.body)
  },
)
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})
