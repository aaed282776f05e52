/** Compiled, never run: an application beside SDK v1, whose own middleware types `req.auth` for Express. */
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js'
import type { AuthInfo as SdkAuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { RedisStore } from 'connect-redis'
import express from 'express'
import { MemoryStore } from 'express-session'
import {
  type AuthInfo,
  authOf,
  clientSecret,
  downstreamCredential,
  downstreamToken,
  type EntraAuthOptions,
  entraAuth,
  entraScopes,
  OAuthError,
  oauthRoutes,
  oboToken,
  requireBearer,
  resourceMetadata,
  scopeGuard,
  tokenClaim,
  type User,
  userOf,
} from 'mcp-entra'
import { accountRoutes } from 'mcp-entra/account'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'

declare const options: EntraAuthOptions
const auth = entraAuth({
  ...options,
  credential: clientSecret('secret'),
  scopes: entraScopes({ clientId: 'id', required: ['notes.read'] }),
})

const app = express()
app.use(oauthRoutes(auth))
app.use(accountRoutes(auth, { session: { store: new RedisStore({ client: {} }), idle: 900 } }))
app.use(accountRoutes(auth, { session: { store: new MemoryStore() } }))
app.use(resourceMetadata(auth))
app.use(requireBearer(auth))
app.use('/mcp', requireBearer(auth, { resource: '/mcp' }), scopeGuard('notes.read'))
app.all(
  '/mcp',
  requireBearer(auth),
  scopeGuard({ tools: { add_note: 'notes.write', purge: { roles: ['Admin'] } } }),
  oboToken(auth, { graph: { scopes: ['https://graph.microsoft.com/User.Read'] } }),
  async (req, res) => {
    const info: AuthInfo = authOf(req)
    // Ours is theirs, and what they put on `req` is read by ours.
    const theirs: SdkAuthInfo = info
    req.auth = info
    const user: User = userOf(req.auth)
    const server = new McpServer({ name: user.oid, version: theirs.clientId })
    server.registerTool('whoami', { description: 'Who' }, async (extra) => {
      const claim: unknown = tokenClaim(extra.authInfo, 'oid')
      const token: string = await downstreamToken(extra.authInfo, 'graph')
      const { getToken } = downstreamCredential(extra.authInfo)
      const { expiresOnTimestamp } = await getToken('https://graph.microsoft.com/.default')
      const text = [userOf(extra.authInfo).oid, claim, token, expiresOnTimestamp].join()
      return { content: [{ type: 'text', text }] }
    })
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  },
)
app.get(
  '/theirs',
  requireBearerAuth({ verifier: { verifyAccessToken: async () => authOf({}) } }),
  (req, res) => {
    res.json(req.auth?.scopes)
  },
)

/** Every route takes our middlewares, on routers too. */
express.Router().post('/notes', requireBearer(auth), scopeGuard('notes.write'))

export async function emulated(): Promise<EntraEmulator> {
  const entra = await startEntra()
  if (entra.users.length === 0) throw new OAuthError('server_error', 'nobody there')
  return entra
}

// @ts-expect-error: a misspelt option
scopeGuard({ tols: {} })
// @ts-expect-error: scopes of an API come as a list
oboToken(auth, { graph: { scopes: 'https://graph.microsoft.com/User.Read' } })
// @ts-expect-error: a user is never changed
userOf(undefined).oid = ''
