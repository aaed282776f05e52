/**
 * SDK v2: `@modelcontextprotocol/server` behind `@modelcontextprotocol/express`. One endpoint serves both eras of the
 * protocol: clients that begin with `initialize` (2025), and those that send each request by itself (2026-07-28).
 * `npm run example:one build/examples/sdk-v2.js`
 */
import { createMcpExpressApp } from '@modelcontextprotocol/express'
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import {
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
  }),
  keys: MCP_ENTRA_KEYS.split(','),
})

const guard = scopeGuard(auth, {
  tools: { whoami: [], add_note: 'notes.write', purge_notes: { roles: 'Notes.Admin' } },
  otherTools: 'deny',
})

/**
 * A fresh server for each request, of the era that the request belongs to. It shows `add_note` to everybody, because a
 * client can ask for the scope, and `purge_notes` only to those whom an administrator gave the role.
 */
const handler = createMcpHandler(({ era, authInfo }) => {
  const server = new McpServer({ name: 'sdk-v2', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ http }) => ({
    content: [{ type: 'text', text: JSON.stringify({ ...userOf(http?.authInfo), era }) }],
  }))
  server.registerTool('add_note', { description: 'Writes a note' }, () => ({
    content: [{ type: 'text', text: '"written"' }],
  }))
  if (mayCall(guard, authInfo, 'purge_notes') !== 'no') {
    server.registerTool('purge_notes', { description: 'Deletes all notes' }, () => ({
      content: [{ type: 'text', text: '"purged"' }],
    }))
  }
  return server
})
const mcp = toNodeHandler(handler)

// It refuses hosts and origins that are not listed, on all routes: its own origin too, which the consent form is sent
// from. It also parses JSON, which all our middlewares put up with; the limit is then the one given here.
const { hostname } = new URL(BASE_URL)
const app = createMcpExpressApp({
  allowedHosts: [hostname],
  allowedOrigins: [hostname, 'localhost'],
  jsonLimit: '4mb',
})
app.use(oauthRoutes(auth))
app.all('/mcp', requireBearer(auth), guard, (req, res) => mcp(req, res, req.body))
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})
