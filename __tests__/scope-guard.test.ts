/** What a caller may do: per route and per MCP tool, and what it is told when it may not. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express, { type ErrorRequestHandler, type Express } from 'express'
import {
  type EntraAuth,
  oauthRoutes,
  oboToken,
  requireBearer,
  type ScopeGuardOptions,
  scopeGuard,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import {
  ada,
  ask,
  bob,
  challenge,
  post,
  startGate,
  type TestGate,
  toolCall,
  userRead,
} from './support/gate.js'
import type { Entra } from './support/host.js'
import { login } from './support/oauth-client.js'

let entra: Entra
let gate: TestGate
let reader: string
let writer: string
let daemon: string

/** Tools guarded on /mcp and its neighbours, which differ in what read the body before the guard. */
const tools = {
  list_notes: 'notes.read',
  add_note: 'notes.write',
  purge: { scopes: ['notes.read', 'notes.admin'], roles: 'Notes.Admin' },
  assign: { roles: ['Notes.Admin', 'Notes.Owner'] },
  constructor: 'notes.admin',
}

function mount(app: Express, auth: EntraAuth): void {
  const gated = requireBearer(auth)
  const obo = oboToken(auth, { graph: { scopes: [userRead], tools: ['my_profile'] } })
  const guard = scopeGuard({ tools })
  const echo: express.RequestHandler = (req, res) =>
    void res.json({ method: req.method, body: (req as { body?: unknown }).body ?? null })
  app.use(oauthRoutes(auth))
  app.all('/mcp', gated, guard, echo)
  app.all('/twice', gated, guard, obo, scopeGuard({ tools: { other: 'notes.write' } }), echo)
  app.all('/parsed', express.json(), gated, guard, echo)
  app.all('/text', express.text({ type: '*/*' }), gated, guard, echo)
  app.all('/raw', express.raw({ type: '*/*' }), gated, guard, echo)
  app.all('/both', gated, scopeGuard({ scopes: 'notes.write', tools }), echo)
  app.get('/read', gated, scopeGuard('notes.read'), echo)
  app.get('/write', gated, scopeGuard('notes.write'), echo)
  app.get('/all', gated, scopeGuard('notes.read', 'notes.write', 'notes.admin'), echo)
  app.get('/role', gated, scopeGuard({ roles: 'Notes.Admin' }), echo)
  app.get('/either', gated, scopeGuard({ scopes: 'notes.write', roles: ['Notes.Admin'] }), echo)
  app.get('/daemon', gated, scopeGuard({ scopes: 'notes.read', roles: 'Notes.Read.All' }), echo)
  app.all('/open', scopeGuard('notes.read'), echo)
  app.use(((error: Error, _req, res, _next) => {
    res.status(500).json({ name: error.name, message: error.message })
  }) satisfies express.ErrorRequestHandler)
}

beforeAll(async () => {
  entra = await startEntra()
  const { entraScopes } = await import('mcp-entra')
  gate = await startGate(entra, {
    options: {
      scopes: entraScopes({
        clientId: entra.app.clientId,
        required: ['notes.read'],
        optional: ['notes.write', 'notes.admin'],
        implies: { 'notes.write': ['notes.read'] },
      }),
    },
    mount,
  })
  reader = await entra.mintAccessToken({ user: bob, scopes: ['notes.read'] })
  writer = await entra.mintAccessToken({ user: bob, scopes: ['notes.write'] })
  daemon = await entra.mintAccessToken({ user: null, client: entra.apps[1]?.clientId ?? '' })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

async function expectStepUp(response: Response, needed: string, scope: string): Promise<void> {
  const description = `This needs the scope ${needed}.`
  expect(response.status).toBe(403)
  expect(response.headers.get('www-authenticate')).toBe(
    challenge(gate.url, 'insufficient_scope', description, scope),
  )
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(await response.json()).toEqual({
    error: 'insufficient_scope',
    error_description: description,
  })
}

async function expectDenied(response: Response, needed: string): Promise<void> {
  expect(response.status).toBe(403)
  expect(response.headers.get('www-authenticate')).toBeNull()
  expect(await response.json()).toEqual({
    error: 'access_denied',
    error_description: `This needs ${needed}. An administrator assigns roles.`,
  })
}

async function expectRpcError(
  response: Response,
  status: number,
  code: number,
  message: string,
  id: number | null = null,
): Promise<void> {
  expect({ status: response.status, body: await response.json() }).toEqual({
    status,
    body: { jsonrpc: '2.0', error: { code, message }, id },
  })
}

describe('scopeGuard on a route', () => {
  it('lets a caller pass who holds the scope, or one that implies it', async () => {
    expect((await ask(`${gate.url}/read`, reader)).status).toBe(200)
    expect((await ask(`${gate.url}/read`, writer)).status).toBe(200)
    expect((await ask(`${gate.url}/write`, writer)).status).toBe(200)
  })

  it('names the scope it needs and the ones already granted', async () => {
    await expectStepUp(
      await ask(`${gate.url}/write`, reader),
      'notes.write',
      'notes.read notes.write',
    )
  })

  it('names all scopes in one challenge', async () => {
    await expectStepUp(
      await ask(`${gate.url}/all`, reader),
      'notes.read notes.write notes.admin',
      'notes.read notes.write notes.admin',
    )
    await expectStepUp(
      await ask(`${gate.url}/all`, writer),
      'notes.read notes.write notes.admin',
      'notes.write notes.read notes.admin',
    )
  })

  it('holds for tokens of ours: what was asked for and granted, not what Entra puts in scp', async () => {
    const own = await login(gate.url, { user: ada })
    await expectStepUp(
      await ask(`${gate.url}/write`, own.access_token),
      'notes.write',
      'notes.read notes.write',
    )
    const more = await login(gate.url, { user: ada, scope: 'notes.read notes.write' })
    expect((await ask(`${gate.url}/write`, more.access_token)).status).toBe(200)
  })

  it('reports every refusal', async () => {
    gate.logs.length = 0
    await ask(`${gate.url}/write`, reader)
    await ask(`${gate.url}/role`, reader)
    await ask(`${gate.url}/write`, daemon)
    await post(`${gate.url}/mcp`, reader, { jsonrpc: '2.0', id: 1, method: ['tools/call'] })
    const client = { id: expect.any(String) }
    const called = { client, resource: `${gate.url}/mcp`, scopes: ['notes.read'] }
    const user = { tid: entra.tenant.id, oid: entra.user(bob).oid }
    const refusal = { message: 'mcp-entra: refusal', endpoint: 'gate', ...called, user }
    const { user: _nobody, ...ofApp } = { ...refusal, scopes: [] }
    expect(gate.logs).toEqual([
      {
        ...refusal,
        reason: 'insufficient_scope',
        detail: 'This needs the scope notes.write.',
        needed: ['notes.write'],
      },
      {
        ...refusal,
        reason: 'access_denied',
        detail: 'This needs one of the roles Notes.Admin. An administrator assigns roles.',
      },
      {
        ...ofApp,
        reason: 'access_denied',
        detail: 'This needs the scope notes.write. An administrator assigns roles.',
      },
      {
        ...refusal,
        reason: 'invalid_request',
        detail: 'Invalid Request: The `method` is a string.',
      },
    ])
  })

  it('lets a browser read the challenge', async () => {
    const response = await ask(`${gate.url}/write`, reader)
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('access-control-expose-headers')).toBe('WWW-Authenticate')
  })

  it('hands a TypeError on when no gate is in front of it', async () => {
    const response = await ask(`${gate.url}/open`, writer)
    expect(response.status).toBe(500)
    expect(await response.json()).toEqual({
      name: 'TypeError',
      message:
        'scopeGuard: no auth of requireBearer here: mount requireBearer before, and pass req.auth, extra.authInfo (SDK v1) or ctx.http.authInfo (SDK v2)',
    })
  })
})

describe('scopeGuard and roles', () => {
  it('asks users for a role: no login brings one, so there is no challenge', async () => {
    const admin = await entra.mintAccessToken({ user: ada, scopes: ['notes.read'] })
    expect((await ask(`${gate.url}/role`, admin)).status).toBe(200)
    await expectDenied(await ask(`${gate.url}/role`, writer), 'one of the roles Notes.Admin')
  })

  it('knows the roles of a user who came through the proxy', async () => {
    const own = await login(gate.url, { user: ada })
    expect((await ask(`${gate.url}/role`, own.access_token)).status).toBe(200)
    const other = await login(gate.url, { user: bob })
    await expectDenied(
      await ask(`${gate.url}/role`, other.access_token),
      'one of the roles Notes.Admin',
    )
  })

  it('takes a role in place of the scopes', async () => {
    const admin = await entra.mintAccessToken({ user: ada, scopes: ['notes.read'] })
    expect((await ask(`${gate.url}/either`, admin)).status).toBe(200)
    expect((await ask(`${gate.url}/either`, writer)).status).toBe(200)
  })

  it('challenges a user who has neither for the scopes: those a login can bring', async () => {
    await expectStepUp(
      await ask(`${gate.url}/either`, reader),
      'notes.write',
      'notes.read notes.write',
    )
  })

  it('lets an app pass by its role and refuses it without a challenge', async () => {
    expect((await ask(`${gate.url}/daemon`, daemon)).status).toBe(200)
    await expectDenied(await ask(`${gate.url}/read`, daemon), 'the scope notes.read')
    await expectDenied(
      await ask(`${gate.url}/either`, daemon),
      'the scope notes.write or one of the roles Notes.Admin',
    )
  })

  it('does not take a role for a scope, nor a scope for a role, in a user token', async () => {
    const token = await entra.mintAccessToken({
      user: bob,
      scopes: ['notes.read', 'Notes.Admin'],
      roles: ['notes.write'],
    })
    expect((await ask(`${gate.url}/write`, token)).status).toBe(403)
    expect((await ask(`${gate.url}/role`, token)).status).toBe(403)
  })
})

describe('scopeGuard and tools', () => {
  it('lets a call pass that needs no more than the caller has, the body on req.body', async () => {
    const call = toolCall('list_notes')
    const response = await post(`${gate.url}/mcp`, reader, call)
    expect(await response.json()).toEqual({ method: 'POST', body: call })
    expect((await post(`${gate.url}/mcp`, writer, toolCall('add_note'))).status).toBe(200)
  })

  it('refuses a call that needs more', async () => {
    await expectStepUp(
      await post(`${gate.url}/mcp`, reader, toolCall('add_note')),
      'notes.write',
      'notes.read notes.write',
    )
  })

  it('looks at every call of a batch, and names all that is missing at once', async () => {
    const batch = [toolCall('list_notes'), toolCall('add_note', 2), toolCall('purge', 3)]
    await expectStepUp(
      await post(`${gate.url}/mcp`, reader, batch),
      'notes.write notes.read notes.admin',
      'notes.read notes.write notes.admin',
    )
    const harmless = [
      toolCall('list_notes'),
      { jsonrpc: '2.0', method: 'notifications/initialized' },
    ]
    expect((await post(`${gate.url}/mcp`, reader, harmless)).status).toBe(200)
    expect((await post(`${gate.url}/mcp`, reader, [])).status).toBe(200)
  })

  it('adds what the route needs to what the tool needs', async () => {
    await expectStepUp(
      await post(`${gate.url}/both`, reader, toolCall('purge')),
      'notes.write notes.read notes.admin',
      'notes.read notes.write notes.admin',
    )
    expect((await post(`${gate.url}/both`, reader, toolCall('whoami'))).status).toBe(403)
    expect((await post(`${gate.url}/both`, writer, toolCall('whoami'))).status).toBe(200)
  })

  it('has nothing against tools and methods it was told nothing of', async () => {
    const messages = [
      toolCall('whoami'),
      toolCall('__proto__'),
      toolCall('toString'),
      toolCall('hasOwnProperty'),
      { jsonrpc: '2.0', id: 1, method: 'tools/list' },
      { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'add_note' } },
      { jsonrpc: '2.0', id: 1, method: 'prompts/get', params: { name: 'add_note' } },
      { jsonrpc: '2.0', id: 1, error: { code: -32601, message: 'tools/call' } },
      { jsonrpc: '2.0', id: 1, result: { method: 'tools/call', params: { name: 'add_note' } } },
    ]
    for (const message of messages) {
      expect((await post(`${gate.url}/mcp`, reader, message)).status).toBe(200)
    }
  })

  it('guards a tool that is named like a property of every object', async () => {
    await expectStepUp(
      await post(`${gate.url}/mcp`, reader, toolCall('constructor')),
      'notes.admin',
      'notes.read notes.admin',
    )
  })

  it('asks for a role where a tool does', async () => {
    await expectDenied(
      await post(`${gate.url}/mcp`, writer, toolCall('assign')),
      'one of the roles Notes.Admin Notes.Owner',
    )
    const admin = await entra.mintAccessToken({ user: ada, scopes: ['notes.read'] })
    expect((await post(`${gate.url}/mcp`, admin, toolCall('assign'))).status).toBe(200)
    expect((await post(`${gate.url}/mcp`, admin, toolCall('purge'))).status).toBe(200)
  })

  it('promises no login where a batch needs a role as well as a scope', async () => {
    await expectDenied(
      await post(`${gate.url}/mcp`, reader, [toolCall('add_note'), toolCall('assign', 2)]),
      'the scope notes.write and one of the roles Notes.Admin Notes.Owner',
    )
  })

  it.each(['GET', 'DELETE', 'PUT'])('lets a %s pass: no tool is called by one', async (method) => {
    const response = await ask(`${gate.url}/mcp`, reader, { method })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ method, body: null })
  })
})

describe('scopeGuard and the headers of MCP 2026-07-28', () => {
  const named = (method: string, name?: string) => ({
    'mcp-method': method,
    ...(name !== undefined && { 'mcp-name': name }),
  })
  const base64 = (name: string) => `=?base64?${Buffer.from(name).toString('base64')}?=`

  it.each([
    ['the same', named('tools/call', 'list_notes')],
    ['the same, in base64', named('tools/call', base64('list_notes'))],
    ['the method alone', named('tools/call')],
    ['the name alone', { 'mcp-name': 'list_notes' }],
  ])('takes headers that say %s', async (_name, headers) => {
    const response = await post(`${gate.url}/mcp`, reader, toolCall('list_notes'), headers)
    expect(response.status).toBe(200)
  })

  it('takes a name that no header can carry as it is', async () => {
    const response = await post(
      `${gate.url}/mcp`,
      reader,
      toolCall('Überblick ✓'),
      named('tools/call', base64('Überblick ✓')),
    )
    expect(response.status).toBe(200)
  })

  it('takes the uri of a resource as its name', async () => {
    const read = { jsonrpc: '2.0', id: 1, method: 'resources/read', params: { uri: 'notes://1' } }
    const response = await post(
      `${gate.url}/mcp`,
      reader,
      read,
      named('resources/read', 'notes://1'),
    )
    expect(response.status).toBe(200)
  })

  it.each([
    ['another method', 'Mcp-Method', named('tools/list', 'add_note')],
    ['the method in other letters', 'Mcp-Method', named('Tools/Call', 'add_note')],
    ['another tool', 'Mcp-Name', named('tools/call', 'list_notes')],
    ['another tool in base64', 'Mcp-Name', named('tools/call', base64('list_notes'))],
    ['base64 of nothing', 'Mcp-Name', named('tools/call', '=?base64??=')],
  ])('refuses headers that say %s, whatever the caller may do', async (_name, header, headers) => {
    const response = await post(`${gate.url}/mcp`, writer, toolCall('add_note'), headers)
    await expectRpcError(
      response,
      400,
      -32020,
      `Header mismatch: ${header} does not agree with the body.`,
      1,
    )
  })

  it.each(['tasks/get', 'tasks/update', 'tasks/cancel'])(
    'takes the task as the name of %s, and no other (SEP-2663)',
    async (method) => {
      const body = { jsonrpc: '2.0', id: 1, method, params: { taskId: 't-1', name: 't-2' } }
      const one = await post(`${gate.url}/mcp`, reader, body, named(method, 't-1'))
      expect(one.status).toBe(200)
      const other = await post(`${gate.url}/mcp`, reader, body, named(method, 't-2'))
      expect(other.status).toBe(400)
    },
  )

  it('refuses them on a batch, which has no one method', async () => {
    const response = await post(
      `${gate.url}/mcp`,
      writer,
      [toolCall('list_notes')],
      named('tools/call', 'list_notes'),
    )
    expect(response.status).toBe(400)
  })

  it('goes by the body when they agree with it', async () => {
    const headers = named('tools/call', 'add_note')
    expect((await post(`${gate.url}/mcp`, reader, toolCall('add_note'), headers)).status).toBe(403)
  })
})

describe('scopeGuard and bodies', () => {
  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json-rpc',
    'application/vnd.api+json',
    '',
  ])('refuses the content type "%s" with 415', async (type) => {
    const response = await post(`${gate.url}/mcp`, writer, toolCall('add_note'), {
      'content-type': type,
    })
    await expectRpcError(response, 415, -32700, 'Send application/json.')
  })

  it.each(['application/json', 'Application/JSON; charset=utf-8'])('reads %s', async (type) => {
    const headers = { 'content-type': type }
    expect((await post(`${gate.url}/mcp`, reader, toolCall('add_note'), headers)).status).toBe(403)
    expect((await post(`${gate.url}/mcp`, writer, toolCall('add_note'), headers)).status).toBe(200)
  })

  it.each(['', '{', '{"a":1}{"b":2}', "{'a':1}", '\u0000', '\ufeff{}'])(
    'answers broken JSON (%j) with a JSON-RPC error',
    async (body) => {
      await expectRpcError(
        await post(`${gate.url}/mcp`, writer, body),
        400,
        -32700,
        'Parse error: The body is not JSON.',
      )
    },
  )

  it.each(['null', '5', 'true', '"text"', JSON.stringify(JSON.stringify(toolCall('add_note')))])(
    'answers JSON that is no message (%s) with a JSON-RPC error',
    async (body) => {
      for (const path of ['/mcp', '/twice', '/text', '/raw']) {
        await expectRpcError(
          await post(gate.url + path, writer, body),
          400,
          -32600,
          'Invalid Request: The body is not a JSON-RPC message.',
        )
      }
    },
  )

  it('answers 5 MB with 413, whether or not their length is announced', async () => {
    const big = JSON.stringify({ ...toolCall('list_notes'), filler: 'a'.repeat(5_000_000) })
    await expectRpcError(
      await post(`${gate.url}/mcp`, writer, big),
      413,
      -32600,
      'The body is larger than 4194304 bytes.',
    )
    const chunks = new ReadableStream({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(big))
        controller.close()
      },
    })
    const streamed = await fetch(`${gate.url}/mcp`, {
      method: 'POST',
      headers: { authorization: `Bearer ${writer}`, 'content-type': 'application/json' },
      body: chunks,
      duplex: 'half',
    } as RequestInit)
    expect(streamed.status).toBe(413)
    expect((await post(`${gate.url}/mcp`, writer, toolCall('list_notes'))).status).toBe(200)
  })

  it('takes 3 MB', async () => {
    const body = { ...toolCall('list_notes'), filler: 'a'.repeat(3_000_000) }
    expect((await post(`${gate.url}/mcp`, reader, body)).status).toBe(200)
  })

  it.each(['/parsed', '/text', '/raw', '/twice'])(
    'judges the body all the same after another reader (%s)',
    async (path) => {
      const url = gate.url + path
      expect((await post(url, reader, toolCall('add_note'))).status).toBe(403)
      expect((await post(url, reader, [toolCall('add_note')])).status).toBe(403)
      const response = await post(url, writer, toolCall('add_note'))
      expect(await response.json()).toEqual({ method: 'POST', body: toolCall('add_note') })
    },
  )

  it('refuses what the parser in front of it did not read, rather than wave it through', async () => {
    const headers = { 'content-type': 'application/json-rpc' }
    const response = await post(`${gate.url}/parsed`, reader, toolCall('add_note'), headers)
    expect(response.status).toBe(415)
  })

  it('lets the second guard of a route have its say', async () => {
    expect((await post(`${gate.url}/twice`, reader, toolCall('other'))).status).toBe(403)
    expect((await post(`${gate.url}/twice`, writer, toolCall('other'))).status).toBe(200)
  })

  it('does not hang when the client goes away in the middle of the body', async () => {
    const aborter = new AbortController()
    const endless = new ReadableStream({
      pull(controller) {
        if (aborter.signal.aborted) return controller.close()
        controller.enqueue(new TextEncoder().encode('{"method":'))
        return new Promise<void>((resolve) => setTimeout(resolve, 50))
      },
    })
    const request = fetch(`${gate.url}/mcp`, {
      method: 'POST',
      headers: { authorization: `Bearer ${writer}`, 'content-type': 'application/json' },
      body: endless,
      duplex: 'half',
      signal: aborter.signal,
    } as RequestInit)
    setTimeout(() => aborter.abort(), 120)
    await expect(request).rejects.toThrow()
    expect((await post(`${gate.url}/mcp`, writer, toolCall('list_notes'))).status).toBe(200)
  })
})

describe('scopeGuard at creation', () => {
  const there = '(there are: "notes.read", "notes.write", "notes.admin")'

  it.each<[string, () => unknown, string]>([
    [
      'a misspelt scope',
      () => scopeGuard(gate.auth, 'raed'),
      `scopeGuard: no such scope: "raed" ${there}`,
    ],
    [
      'a misspelt scope of a tool',
      () => scopeGuard(gate.auth, { tools: { list_notes: ['notes.read', 'raed'] } }),
      `scopeGuard: no such scope: "raed" ${there}`,
    ],
    [
      'a misspelt scope of a requirement',
      () =>
        scopeGuard(gate.auth, { tools: { list_notes: { scopes: 'raed', roles: 'Notes.Admin' } } }),
      `scopeGuard: no such scope: "raed" ${there}`,
    ],
    [
      'scopes in one string',
      () => scopeGuard('notes.read notes.write'),
      'scopeGuard: a scope is a name without spaces: "notes.read notes.write"',
    ],
    [
      'roles in one string',
      () => scopeGuard({ tools: { audit: { roles: 'Mcp.Admin Mcp.Auditor' } } }),
      'scopeGuard: a role is a name without spaces: "Mcp.Admin Mcp.Auditor"',
    ],
    [
      'an empty role',
      () => scopeGuard({ roles: [''] }),
      'scopeGuard: a role is a name without spaces: ""',
    ],
    [
      'roles that are no list',
      () => scopeGuard({ roles: { admin: true } as never }),
      'scopeGuard: roles is a name or a list of names: {"admin":true}',
    ],
    [
      'scopes that are nothing',
      () => scopeGuard({ scopes: null as never, tools: { a: 'notes.read' } }),
      'scopeGuard: scopes is a name or a list of names: null',
    ],
    ['nothing', () => scopeGuard(), 'scopeGuard: name a scope, a role or a tool to guard'],
    [
      'nothing but auth',
      () => scopeGuard(gate.auth),
      'scopeGuard: name a scope, a role or a tool to guard',
    ],
    [
      'empty options',
      () => scopeGuard({ tools: {} }),
      'scopeGuard: name a scope, a role or a tool to guard',
    ],
    [
      'a tool without a requirement: a misspelt option must not leave it open',
      () => scopeGuard({ tools: { add_note: { scope: 'notes.write' } } } as ScopeGuardOptions),
      'scopeGuard: tools.add_note: no such option: "scope" (did you mean "scopes"?)',
    ],
    [
      'a tool with an empty list',
      () => scopeGuard({ tools: { add_note: [] } }),
      'scopeGuard: tools.add_note names no scope and no role: leave the tool out if it needs none',
    ],
    [
      'a tool with nothing',
      () => scopeGuard({ tools: { add_note: undefined } } as unknown as ScopeGuardOptions),
      'scopeGuard: tools.add_note names no scope and no role: leave the tool out if it needs none',
    ],
    [
      'no name at all',
      () => scopeGuard(undefined as unknown as string),
      'scopeGuard: pass what entraAuth returned: scopeGuard(auth, …)',
    ],
    [
      'a misspelt option, which must not leave tools open',
      () => scopeGuard({ tools, otherTool: 'deny' } as unknown as ScopeGuardOptions),
      'scopeGuard: no such option: "otherTool" (did you mean "otherTools"?)',
    ],
    [
      'other tools that are neither open nor closed',
      () => scopeGuard({ tools, otherTools: 'closed' } as unknown as ScopeGuardOptions),
      `scopeGuard: otherTools must be 'allow' or 'deny': "closed"`,
    ],
    [
      'other tools closed, and none open',
      () => scopeGuard({ scopes: 'notes.read', otherTools: 'deny' }),
      "scopeGuard: otherTools: 'deny' closes every tool: name those that are open in tools",
    ],
    [
      'options before auth',
      () => (scopeGuard as (...given: unknown[]) => unknown)({ tools }, gate.auth),
      'scopeGuard: one object of options, and auth in front: scopeGuard(auth, {…})',
    ],
  ])('throws a TypeError for %s', (_name, create, message) => {
    expect(create).toThrow(new TypeError(message))
  })

  it('takes the scopes of its auth, in all forms', () => {
    for (const create of [
      () => scopeGuard(gate.auth, 'notes.read', 'notes.write'),
      () => scopeGuard(gate.auth, { roles: 'Notes.Admin' }),
      () => scopeGuard(gate.auth, { tools: { add_note: 'notes.write' } }),
    ]) {
      expect(create).not.toThrow()
    }
  })

  it('without auth fails closed at every request for a misspelt scope, whoever asks', async () => {
    const reached: string[] = []
    const failures: unknown[] = []
    const misspelt = await startGate(entra, {
      mount(app, auth) {
        app.use(
          '/mcp',
          requireBearer(auth),
          scopeGuard({ tools: { other: 'raed' } }),
          (req, res) => {
            reached.push(req.url)
            res.end()
          },
        )
        app.use(((error, _req, res, _next) => {
          failures.push(error)
          res.status(500).end()
        }) as ErrorRequestHandler)
      },
    })
    const token = await entra.mintAccessToken({ user: ada, scopes: ['notes.read', 'notes.write'] })
    for (let i = 0; i < 2; i++) {
      const response = await post(`${misspelt.url}/mcp`, token, toolCall('list_notes'))
      expect(response.status).toBe(500)
    }
    const error = new TypeError(
      'scopeGuard: no such scope: "raed" (there are: "notes.read", "notes.write")',
    )
    expect([failures, reached]).toEqual([[error, error], []])
    await misspelt.close()
  })

  it('is a named function, for those who look at the stack', () => {
    expect(scopeGuard('notes.read').name).toBe('scopeGuardMiddleware')
  })
})
