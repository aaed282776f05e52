/**
 * MCP servers of both SDK generations on several versions of zod, each with our guard in front and without it, in
 * one process: which tools run for which body? Prints JSON: see zod-versions.test.ts.
 */
import { once } from 'node:events'
import { register } from 'node:module'
import express from 'express'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  requireBearer,
  scopeGuard,
} from '../../dist/index.js'
import { startEntra } from '../../dist/testing/index.js'

register('./zod-versions-hooks.mjs', import.meta.url)

const { generations, bodies } = JSON.parse(process.argv[2])
/** Names of the tools that ran for the request in hand. */
let ran = []

const makers = { v1, v2 }

/** SDK v1: a server and a transport for each request. */
async function v1(zod) {
  const { McpServer } = await import(`@modelcontextprotocol/sdk/server/mcp.js?zod=${zod}`)
  const { StreamableHTTPServerTransport } = await import(
    `@modelcontextprotocol/sdk/server/streamableHttp.js?zod=${zod}`
  )
  return async (req, res) => {
    const server = withTools(new McpServer({ name: 'test', version: '1' }))
    const transport = new StreamableHTTPServerTransport({ enableJsonResponse: true })
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  }
}

async function v2(zod) {
  const { createMcpHandler, McpServer } = await import(`@modelcontextprotocol/server?zod=${zod}`)
  const { toNodeHandler } = await import(`@modelcontextprotocol/node?zod=${zod}`)
  const handler = toNodeHandler(
    createMcpHandler(() => withTools(new McpServer({ name: 'test', version: '1' }))),
  )
  return (req, res) => handler(req, res, req.body)
}

function withTools(server) {
  for (const name of ['list_notes', 'add_note']) {
    server.registerTool(name, { description: name }, () => {
      ran.push(name)
      return { content: [{ type: 'text', text: name }] }
    })
  }
  return server
}

const entra = await startEntra()
const { clientId, secrets } = entra.app
const auth = entraAuth({
  baseUrl: 'http://localhost:3000',
  tenantId: entra.tenant.id,
  clientId,
  credential: clientSecret(secrets[0]),
  authorityHost: entra.url,
  scopes: entraScopes({ clientId, required: ['notes.read'], optional: ['notes.write'] }),
  logger: { info() {}, warn: console.warn, error: console.error },
})
const token = await entra.mintAccessToken({ scopes: ['notes.read'] })

const app = express()
const gate = requireBearer(auth)
const guard = scopeGuard({ tools: { add_note: 'notes.write' } })
for (const { generation, zod } of generations) {
  const handler = await makers[generation](zod)
  app.post(`/${generation}/${zod}/open`, express.json({ strict: false }), handler)
  app.post(`/${generation}/${zod}/guarded`, gate, guard, handler)
  app.post(`/${generation}/${zod}/parsed`, express.json({ strict: false }), gate, guard, handler)
}
app.use((error, _req, res, _next) => res.status(500).end(String(error)))
const server = app.listen(0, '127.0.0.1')
await once(server, 'listening')

async function send(path, body) {
  ran = []
  const response = await fetch(`http://127.0.0.1:${server.address().port}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-protocol-version': '2025-03-26',
    },
    body,
  })
  await response.text()
  return { status: response.status, ran }
}

const report = {}
for (const { generation, zod } of generations) {
  for (const body of bodies) {
    for (const way of ['open', 'guarded', 'parsed']) {
      report[`${generation} ${zod} ${way} ${body}`] = await send(
        `/${generation}/${zod}/${way}`,
        body,
      )
    }
  }
}
console.log(JSON.stringify(report))
process.exit(0)
