/** The server under test. Yours is started like this too, with the emulator's values in place of your tenant's. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express, { type Express } from 'express'
import {
  clientSecret,
  type EntraAuth,
  entraAuth,
  entraScopes,
  oauthRoutes,
  requireBearer,
  scopeGuard,
  userOf,
} from 'mcp-entra'
import type { EntraEmulator } from 'mcp-entra/testing'

/** Starts the server on a free port. */
export async function startServer(entra: EntraEmulator) {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  entra.addRedirectUri(`${url}/auth/callback`)
  const { clientId, secrets } = entra.app
  const auth = entraAuth({
    baseUrl: url,
    tenantId: entra.tenant.id,
    clientId,
    credential: clientSecret(secrets[0] ?? ''),
    authorityHost: entra.url,
    scopes: entraScopes({ clientId, required: ['notes.read'], optional: ['notes.write'] }),
    keys: ['a key for tests only: 0123456789'],
  })
  server.on('request', createApp(auth))
  return { url, close: () => server.close() }
}

function createApp(auth: EntraAuth): Express {
  const app = express()
  app.use(oauthRoutes(auth))
  const tools = { add_note: 'notes.write' }
  app.all('/mcp', requireBearer(auth), scopeGuard(auth, { tools }), async (req, res) => {
    const server = mcpServer()
    res.on('close', () => server.close())
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  })
  return app
}

function mcpServer(): McpServer {
  const server = new McpServer({ name: 'notes', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: userOf(authInfo).username ?? 'unknown' }],
  }))
  server.registerTool('add_note', { description: 'Writes a note' }, () => ({
    content: [{ type: 'text', text: 'written' }],
  }))
  return server
}
