/** Tools that a guard does not name: open or closed by choice, and misspelt names in it, with both SDK generations. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { NodeStreamableHTTPServerTransport } from '@modelcontextprotocol/node'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { McpServer as McpServer2 } from '@modelcontextprotocol/server'
import type { RequestHandler } from 'express'
import { oauthRoutes, requireBearer, type ScopeGuardOptions, scopeGuard } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { defaultLogger, watchConsole } from '../../support/console.js'
import { post, startGate, type TestGate, toolCall } from '../../support/gate.js'
import type { Entra } from '../../support/host.js'
import { login } from '../../support/oauth-client.js'
import { hear } from '../../support/proxy.js'

let entra: Entra
let gates: TestGate[] = []
const refusals = hear('mcp-entra:refusal') as Record<string, unknown>[]
beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())
afterEach(async () => {
  await Promise.all(gates.map((gate) => gate.close()))
  gates = []
})

const text = async () => ({ content: [{ type: 'text' as const, text: 'done' }] })

function describeTools(server: McpServer | McpServer2): void {
  for (const name of ['list_notes', 'add_note', 'whoami']) {
    ;(server as McpServer).registerTool(name, { description: name }, text)
  }
}

function sdk1(options: object): RequestHandler {
  return async (req, res) => {
    const server = new McpServer({ name: 'notes', version: '1' })
    describeTools(server)
    const transport = new StreamableHTTPServerTransport(options)
    await server.connect(transport as never)
    await transport.handleRequest(req, res, req.body)
  }
}

function sdk2(options: object): RequestHandler {
  return async (req, res) => {
    const server = new McpServer2({ name: 'notes', version: '1' })
    describeTools(server)
    const transport = new NodeStreamableHTTPServerTransport(options)
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  }
}

/** Starts a server behind a guard. @returns how its user posts a message */
async function start(guard: ScopeGuardOptions, handler: RequestHandler) {
  const gate = await startGate(entra, {
    options: defaultLogger,
    mount(app, auth) {
      app.use(oauthRoutes(auth))
      app.all('/mcp', requireBearer(auth), scopeGuard(auth, guard), handler)
    },
  })
  gates.push(gate)
  const { access_token } = await login(gate.url, { scope: 'notes.read' })
  return async (body: unknown) => {
    const accept = { accept: 'application/json, text/event-stream' }
    const response = await post(`${gate.url}/mcp`, access_token, body, accept)
    return { status: response.status, text: await response.text(), headers: response.headers }
  }
}

const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }

describe('a misspelt name in the guard', () => {
  it.each([
    ['SDK v1, server-sent events', sdk1({})],
    ['SDK v1, JSON', sdk1({ enableJsonResponse: true })],
    ['SDK v2, server-sent events', sdk2({})],
    ['SDK v2, JSON', sdk2({ enableJsonResponse: true })],
  ])(
    'is a warning with the first answer to tools/list, and never again: %s',
    async (_sdk, handler) => {
      const send = await start({ tools: { add_notes: 'notes.write' } }, handler)
      const seen = watchConsole()
      for (let i = 0; i < 3; i++) expect((await send(list)).text).toContain('"add_note"')
      seen.end()
      expect(seen.lines).toEqual([
        {
          level: 'warn',
          message: 'mcp-entra: warning',
          fields: {
            reason: 'unknown_tools',
            detail:
              'scopeGuard names tools that the answer to tools/list did not show: "add_notes" (did you mean "add_note"?)',
            hint: expect.stringContaining("otherTools: 'deny' closes it"),
          },
        },
      ])
    },
  )

  it('is none where every name is that of a tool', async () => {
    const send = await start({ tools: { add_note: 'notes.write' } }, sdk1({}))
    const seen = watchConsole()
    await send(list)
    seen.end()
    expect(seen.lines).toEqual([])
  })
})

describe('a tool that the guard does not name', () => {
  const named = { tools: { add_note: 'notes.write', list_notes: [] } }

  it('is open by default', async () => {
    const send = await start({ tools: { add_note: 'notes.write' } }, sdk1({}))
    expect((await send(toolCall('whoami'))).status).toBe(200)
  })

  it("is a 403 access_denied with otherTools: 'deny', alone and in a batch, and the operator hears of it", async () => {
    const send = await start({ ...named, otherTools: 'deny' }, sdk1({}))
    const batches = [toolCall('whoami'), [toolCall('list_notes', 1), toolCall('whoami', 2)]]
    for (const body of batches) {
      refusals.length = 0
      const { status, text, headers } = await send(body)
      expect(status).toBe(403)
      expect(headers.get('www-authenticate')).toBeNull()
      expect(JSON.parse(text)).toEqual({
        error: 'access_denied',
        error_description: 'This server opens no tool of that name to callers.',
      })
      expect(refusals).toMatchObject([
        { endpoint: 'gate', reason: 'access_denied', scopes: ['notes.read'] },
      ])
      expect(JSON.stringify(refusals)).not.toContain('whoami')
    }
  })

  it.each(['constructor', '__proto__', 'toString', '', 'ADD_NOTE', 'list_notes '])(
    'is closed whatever it is called: %j',
    async (name) => {
      const send = await start({ ...named, otherTools: 'deny' }, sdk1({}))
      expect((await send(toolCall(name))).status).toBe(403)
    },
  )

  it('leaves the named ones as they are, and all but calls', async () => {
    const send = await start({ ...named, otherTools: 'deny' }, sdk1({}))
    expect((await send(toolCall('list_notes'))).text).toContain('done')
    const refused = await send(toolCall('add_note'))
    expect([refused.status, JSON.parse(refused.text).error]).toEqual([403, 'insufficient_scope'])
    const all = await send(list)
    for (const name of ['list_notes', 'add_note', 'whoami']) expect(all.text).toContain(name)
    expect((await send({ jsonrpc: '2.0', id: 1, method: 'ping' })).status).toBe(200)
  })
})
