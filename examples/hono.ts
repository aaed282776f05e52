/**
 * Hono on Node.js. Our middlewares take the request and response of `node:http`, which `@hono/node-server` has in
 * `c.env`. Its trap: who reads the body there (`scopeGuard`) leaves nothing for `c.req.json()`. The parsed body is on
 * `c.env.incoming`.
 * `npm run example:one build/examples/hono.js`
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type HttpBindings, serve } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { Hono } from 'hono'
import { createMiddleware } from 'hono/factory'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  type Middleware,
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

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'hono', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  server.registerTool('add_note', { description: 'Writes a note' }, () => ({
    content: [{ type: 'text', text: '"written"' }],
  }))
  return server
}

type Env = { Bindings: HttpBindings }

/** Runs a middleware of `node:http`. It may answer by itself: then Hono must not. */
const fromNode = (middleware: Middleware) =>
  createMiddleware<Env>(async ({ env: { incoming, outgoing } }, next) => {
    const goesOn = await new Promise<boolean>((resolve, reject) => {
      outgoing.once('close', () => resolve(false))
      outgoing.once('finish', () => resolve(false))
      middleware(incoming as IncomingMessage, outgoing as ServerResponse, (error) =>
        error ? reject(error) : resolve(true),
      )
    })
    if (!goesOn) return RESPONSE_ALREADY_SENT
    await next()
    return undefined
  })

const app = new Hono<Env>()
app.use(fromNode(oauthRoutes(auth)))
app.all(
  '/mcp',
  fromNode(requireBearer(auth)),
  fromNode(scopeGuard(auth, { tools: { add_note: 'notes.write' } })),
  async ({ env: { incoming, outgoing } }) => {
    const server = mcpServer()
    outgoing.on('close', () => server.close())
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    const { body } = incoming as { body?: unknown }
    await transport.handleRequest(incoming as IncomingMessage, outgoing as ServerResponse, body)
    return RESPONSE_ALREADY_SENT
  },
)
serve({ fetch: app.fetch, port: Number(PORT) }, () => console.log(`MCP server: ${BASE_URL}/mcp`))
