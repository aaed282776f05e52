/**
 * A server for Microsoft 365 Copilot (Entra SSO), VS Code's built-in Microsoft sign-in, and agents of Foundry: they bring
 * Entra's own tokens, so this is direct mode. The steps in the portal are in docs/microsoft-clients.md.
 * `npm run example:one build/examples/microsoft-clients.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import {
  authOf,
  clientSecret,
  downstreamToken,
  entraAuth,
  entraScopes,
  oboToken,
  requireBearer,
  resourceMetadata,
  scopeGuard,
  userOf,
} from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { GRAPH_URL = 'https://graph.microsoft.com/v1.0' } = process.env

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID, // an id: VS Code fails with common and organizations
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET), // for on-behalf-of
  authorityHost: AZURE_AUTHORITY_HOST,
  // Microsoft 365 Copilot knows no other scope, and no step-up.
  scopes: entraScopes({ clientId: AZURE_CLIENT_ID, required: ['access_as_user'] }),
  identifierUris: [`api://${AZURE_CLIENT_ID}`, `${BASE_URL}/mcp`],
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  const answer = (value: unknown) => ({
    content: [{ type: 'text' as const, text: JSON.stringify(value) }],
  })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) =>
    answer(userOf(authInfo)),
  )
  server.registerTool('list_notes', { description: 'All notes' }, () =>
    answer(['water the plants']),
  )
  server.registerTool('inbox', { description: 'Your latest mail' }, async ({ authInfo }) => {
    const response = await fetch(`${GRAPH_URL}/me/messages?$top=1`, {
      headers: { authorization: `Bearer ${await downstreamToken(authInfo, 'mail')}` },
      signal: AbortSignal.timeout(10_000),
    })
    if (!response.ok) throw new Error(`Microsoft Graph answered ${response.status}`)
    return answer(await response.json())
  })
  return server
}

const app = express()
app.use(resourceMetadata(auth))
app.all(
  '/mcp',
  requireBearer(auth),
  scopeGuard(auth, {
    tools: {
      whoami: 'access_as_user',
      // Foundry's agents and projects come as apps: their role is assigned by an administrator.
      list_notes: { scopes: 'access_as_user', roles: 'Notes.Read.All' },
      inbox: 'access_as_user',
    },
    otherTools: 'deny',
  }),
  // Without consent this is a 401, and Microsoft 365 Copilot asks its user.
  oboToken(auth, { mail: { scopes: ['https://graph.microsoft.com/Mail.Read'], tools: ['inbox'] } }),
  async (req, res) => {
    console.log(`called through ${authOf(req).clientId}`)
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
