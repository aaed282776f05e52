/**
 * A server that knows agents of Microsoft Entra Agent ID, and is one: its app registration is a blueprint, and with
 * AGENT_ID (an agent identity made from it) it calls Microsoft Graph as that agent, on behalf of the person who calls.
 * Clients get their tokens from Entra, because neither blueprints nor agents can sign people in.
 * `npm run example:one build/examples/agents.js`
 */
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import {
  agentCredential,
  callerOf,
  clientSecret,
  downstreamToken,
  entraAuth,
  entraScopes,
  oboToken,
  requireBearer,
  resourceMetadata,
  scopeGuard,
} from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { AGENT_ID, GRAPH_URL = 'https://graph.microsoft.com/v1.0' } = process.env

const blueprint = clientSecret(AZURE_CLIENT_SECRET) // in Azure: managedIdentity()

const auth = entraAuth({
  mode: 'direct',
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: AGENT_ID ? agentCredential({ blueprint, agent: AGENT_ID }) : blueprint,
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({ clientId: AZURE_CLIENT_ID, required: ['notes.read'] }),
})

/** Agents are authorized by role, and kept from what takes a person. */
const guard = scopeGuard(auth, {
  tools: {
    whoami: [],
    list_notes: { scopes: 'notes.read', roles: 'Notes.Read.All' },
    my_profile: { callers: ['user', 'agent-for-user'] },
  },
  otherTools: 'deny',
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'agents', version: '1.0.0' })
  const answer = (text: string) => ({ content: [{ type: 'text' as const, text }] })
  server.registerTool('whoami', { description: 'Who calls' }, ({ authInfo }) =>
    answer(JSON.stringify(callerOf(authInfo))),
  )
  server.registerTool('list_notes', { description: 'All notes' }, () => answer('[]'))
  server.registerTool('my_profile', { description: 'Your profile' }, async ({ authInfo }) => {
    const headers = { authorization: `Bearer ${await downstreamToken(authInfo, 'graph')}` }
    const signal = AbortSignal.timeout(10_000)
    const response = await fetch(`${GRAPH_URL}/me`, { headers, signal })
    if (!response.ok) throw new Error(`Microsoft Graph answered ${response.status}`)
    return answer(await response.text())
  })
  return server
}

const graphScopes = ['https://graph.microsoft.com/User.Read']

const app = express()
app.use(resourceMetadata(auth))
app.all(
  '/mcp',
  requireBearer(auth),
  guard,
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
