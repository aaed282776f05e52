/** Compiled, never run: an application beside SDK v2, in both ways of serving it offers. */
import { createMcpExpressApp } from '@modelcontextprotocol/express'
import { NodeStreamableHTTPServerTransport, toNodeHandler } from '@modelcontextprotocol/node'
import {
  createMcpHandler,
  McpServer,
  type AuthInfo as SdkAuthInfo,
  type ServerContext,
} from '@modelcontextprotocol/server'
import {
  type AuthInfo,
  authOf,
  downstreamCredential,
  downstreamToken,
  type EntraAuthOptions,
  entraAuth,
  oauthRoutes,
  oboToken,
  requireBearer,
  resourceMetadata,
  scopeGuard,
  tokenClaim,
  userOf,
} from 'mcp-entra'
import { accountRoutes } from 'mcp-entra/account'

declare const options: EntraAuthOptions
const auth = entraAuth(options)

const app = createMcpExpressApp()
app.use(oauthRoutes(auth))
app.use(accountRoutes(auth))
app.use(resourceMetadata(auth))
app.use('/mcp', requireBearer(auth))

async function whoami({ http }: ServerContext) {
  const claim: unknown = tokenClaim(http?.authInfo, 'oid')
  const token: string = await downstreamToken(http?.authInfo, 'graph')
  const { getToken } = downstreamCredential(http?.authInfo)
  const { expiresOnTimestamp } = await getToken(['https://graph.microsoft.com/.default'])
  const text = [userOf(http?.authInfo).oid, claim, token, expiresOnTimestamp].join()
  return { content: [{ type: 'text' as const, text }] }
}

function notesServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1' })
  server.registerTool('whoami', { description: 'Who' }, whoami)
  return server
}

const guards = [
  requireBearer(auth),
  scopeGuard({ tools: { add_note: 'notes.write' } }),
  oboToken(auth, { graph: { scopes: ['https://graph.microsoft.com/User.Read'], tools: [] } }),
]

app.all('/mcp', ...guards, async (req, res) => {
  const info: AuthInfo = authOf(req)
  const theirs: SdkAuthInfo = info
  const copied: SdkAuthInfo = { ...info }
  const oid: string = userOf(theirs).oid + userOf(copied).oid
  res.setHeader('X-User', oid)
  const transport = new NodeStreamableHTTPServerTransport({})
  await notesServer().connect(transport)
  await transport.handleRequest(Object.assign(req, { auth: info }), res, req.body)
})

const handler = toNodeHandler(createMcpHandler(notesServer))
app.all('/modern', ...guards, (req, res) => handler(req, res, req.body))
