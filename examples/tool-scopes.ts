/**
 * Scopes and app roles for each tool. The roles are those of the app registration (App roles); daemons bring Entra's own
 * tokens (client credentials), through the same gate.
 * `npm run example:one build/examples/tool-scopes.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import {
  type AuthInfo,
  authOf,
  clientSecret,
  entraAuth,
  entraScopes,
  mayCall,
  oauthRoutes,
  requireBearer,
  scopeGuard,
  userOf,
} from 'mcp-entra'

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
  scopes: entraScopes({
    clientId: AZURE_CLIENT_ID,
    required: ['notes.read'],
    optional: ['notes.write'],
    // Who may write may read: a token with notes.write alone is good for both.
    implies: { 'notes.write': ['notes.read'] },
    descriptions: { 'notes.read': 'Read your notes', 'notes.write': 'Write notes for you' },
  }),
  keys: MCP_ENTRA_KEYS.split(','),
})

/**
 * What each tool needs besides the required scopes. A client that lacks a scope is told which, and asks its user for it
 * (step-up). Nobody can ask for a role: an administrator assigns app roles to users and to daemons.
 */
const guard = scopeGuard(auth, {
  tools: {
    add_note: 'notes.write',
    // Users with both scopes, or a daemon with the role.
    export_notes: { scopes: ['notes.read', 'notes.write'], roles: 'Notes.Read.All' },
    purge_notes: { roles: ['Notes.Admin'] },
  },
})

/**
 * A fresh server for each request: it keeps no sessions. It has no tool that its caller can never call, and still shows
 * those that step-up unlocks: a client asks for more scopes when it calls one.
 */
function mcpServer(authInfo: AuthInfo): McpServer {
  const server = new McpServer({ name: 'tool-scopes', version: '1.0.0' })
  const answer = (text: string) => ({ content: [{ type: 'text' as const, text }] })
  const tools = {
    list_notes: server.registerTool('list_notes', { description: 'Your notes' }, () =>
      answer('[]'),
    ),
    add_note: server.registerTool('add_note', { description: 'Writes a note' }, () =>
      answer('"written"'),
    ),
    export_notes: server.registerTool('export_notes', { description: "Everybody's notes" }, () =>
      answer('[]'),
    ),
    purge_notes: server.registerTool('purge_notes', { description: 'Deletes all notes' }, () =>
      answer(JSON.stringify(`purged by ${userOf(authInfo).username}`)),
    ),
  }
  for (const [name, tool] of Object.entries(tools)) {
    if (mayCall(guard, authInfo, name) === 'no') tool.remove()
  }
  return server
}

const app = express()
app.use(oauthRoutes(auth))
app.all('/mcp', requireBearer(auth), guard, async (req, res) => {
  const server = mcpServer(authOf(req))
  res.on('close', () => server.close())
  const transport = new StreamableHTTPServerTransport({})
  await server.connect(transport)
  await transport.handleRequest(req, res, req.body)
})
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})
