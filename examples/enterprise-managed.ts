/**
 * Enterprise-managed authorization: a company's identity provider (Okta, for example) lets clients in for its users, who
 * sign in nowhere else. `IDENTITY_ISSUER` is its issuer. `PEOPLE` says who its users are in Entra's terms, as JSON:
 * `{"<sub there>": "<object id>"}`.
 * `IDENTITY_ISSUER=https://contoso.okta.com npm run example:one build/examples/enterprise-managed.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  type IdentityAssertionClaims,
  oauthRoutes,
  requireBearer,
  userOf,
} from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { MCP_ENTRA_KEYS = '' } = process.env // openssl rand -base64 32
const { IDENTITY_ISSUER = 'https://contoso.okta.com', PEOPLE = '{}' } = process.env

/** In your server: a table, or a directory. Keyed by an id that is never given to somebody else, not by a mail address. */
const people = new Map<string, string>(Object.entries(JSON.parse(PEOPLE)))

function mapUser({ sub, name }: IdentityAssertionClaims) {
  const oid = people.get(sub)
  if (oid === undefined) return undefined // refused
  return { tid: AZURE_TENANT_ID, oid, ...(typeof name === 'string' && { name }) }
}

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({ clientId: AZURE_CLIENT_ID, required: ['notes.read'] }),
  keys: MCP_ENTRA_KEYS.split(','),
  identityAssertions: [{ issuer: IDENTITY_ISSUER, mapUser }],
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'enterprise-managed', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  return server
}

const app = express()
app.use(oauthRoutes(auth))
app.all('/mcp', requireBearer(auth), async (req, res) => {
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
