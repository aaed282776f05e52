/**
 * Fastify. Its traps:
 * - It reads the body before a `preHandler` runs, and after an `onRequest` hook: a guard that reads it in `onRequest`
 *   leaves Fastify waiting for a body that has gone by. Here Fastify reads no bodies of `/mcp`; the guard does.
 * - It knows JSON and text alone, so it would answer the consent form and `/token` with 415. `oauthRoutes` therefore
 *   stands in front of Fastify.
 * - Hang the gate on the route, as here, and not on a path of a middleware plugin: what the plugin and the router make of
 *   an unusual spelling of the path may differ.
 * `npm run example:one build/examples/fastify.js`
 */
import { createServer } from 'node:http'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import Fastify, { type preHandlerHookHandler } from 'fastify'
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
  const server = new McpServer({ name: 'fastify', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  server.registerTool('add_note', { description: 'Writes a note' }, () => ({
    content: [{ type: 'text', text: '"written"' }],
  }))
  return server
}

/** Runs a middleware as a hook. When it answers by itself, `done` is not called, and Fastify goes no further. */
const hook =
  (middleware: Middleware): preHandlerHookHandler =>
  ({ raw: req }, { raw: res }, done) =>
    middleware(req, res, (error) => done(error as Error | undefined))

const oauth = oauthRoutes(auth)
const app = Fastify({
  serverFactory: (fastify) =>
    createServer((req, res) =>
      oauth(req, res, (error) => {
        if (error === undefined) return fastify(req, res)
        console.error(error)
        res.writeHead(500).end()
      }),
    ),
})

// A context of its own: what is said of bodies here is not said of the rest of the application.
await app.register(async (scope) => {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser('*', (_request, _body, done) => done(null))
  const guard = scopeGuard(auth, { tools: { add_note: 'notes.write' } })
  scope.all('/mcp', {
    preHandler: [hook(requireBearer(auth)), hook(guard)],
    async handler(request, reply) {
      reply.hijack()
      const server = mcpServer()
      reply.raw.on('close', () => server.close())
      const transport = new StreamableHTTPServerTransport({})
      await server.connect(transport)
      const { body } = request.raw as { body?: unknown }
      await transport.handleRequest(request.raw, reply.raw, body)
    },
  })
})
await app.listen({ port: Number(PORT), host: 'localhost' })
console.log(`MCP server: ${BASE_URL}/mcp`)
