/**
 * Consent and MFA in the middle of a tool call: the client shows its user a URL, and the call goes on. SDK v2, for clients
 * of 2026-07-28 and of 2025-11-25. Clients that cannot show a URL log in again instead. With SDK v1 the tool's code is the
 * same, but for the import of the error. The app registration needs the delegated permission `Mail.Read`.
 * `npm run example:one build/examples/in-session.js`
 */
import { toNodeHandler } from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  McpServer,
  UrlElicitationRequiredError,
} from '@modelcontextprotocol/server'
import express from 'express'
import {
  askUser,
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

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  // No `additional`: users are asked for their mail when a tool wants to read it, and not when they sign in.
  scopes: entraScopes({ clientId: AZURE_CLIENT_ID, required: ['notes.read'] }),
  keys: MCP_ENTRA_KEYS.split(','),
})

const handler = createMcpHandler(() => {
  const server = new McpServer({ name: 'in-session', version: '1.0.0' })
  server.registerTool('my_mail', { description: 'Your latest messages' }, async (ctx) => {
    try {
      const token = await downstreamToken(ctx.http?.authInfo, 'mail')
      const response = await fetch(`${GRAPH_URL}/me/messages?$top=5`, {
        headers: { authorization: `Bearer ${token}` },
        signal: AbortSignal.timeout(10_000),
      })
      if (!response.ok) throw new Error(`Microsoft Graph answered ${response.status}`)
      return { content: [{ type: 'text', text: await response.text() }] }
    } catch (error) {
      // Only for what a tool meets itself. `oboToken` below asks before the tool runs.
      return askUser(error, ctx, UrlElicitationRequiredError)
    }
  })
  return server
})
const mcp = toNodeHandler(handler)

const app = express()
app.use(oauthRoutes(auth)) // serves /auth/interaction, too
app.all(
  '/mcp',
  requireBearer(auth),
  // `tools` has to be there: it makes `oboToken` read which tool is called, and what the client has declared.
  oboToken(auth, {
    mail: { scopes: ['https://graph.microsoft.com/Mail.Read'], tools: ['my_mail'] },
  }),
  (req, res) => mcp(req, res, req.body),
)
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})
