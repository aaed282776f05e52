/** What a server learns of what its caller may call: the same that the guard says when the tool is called. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express, { type Express } from 'express'
import fc from 'fast-check'
import {
  type AuthInfoLike,
  authOf,
  type CallerKind,
  type EntraAuth,
  entraScopes,
  type Middleware,
  mayCall,
  oauthRoutes,
  requireBearer,
  type ScopeGuardOptions,
  scopeGuard,
} from 'mcp-entra'
import { accountToken, agentToken, startEntraWithAgents, tokenForPerson } from './support/agents.js'
import { ada, ask, bob, post, startGate, type TestGate, toolCall } from './support/gate.js'
import type { Entra } from './support/host.js'
import { login } from './support/oauth-client.js'

let entra: Entra
let gate: TestGate
/** What stands behind `/random`. */
let randomGuard: Middleware

const tools = {
  whoami: [],
  list_notes: 'notes.read',
  add_note: 'notes.write',
  purge: { scopes: ['notes.read', 'notes.admin'], roles: 'Notes.Admin' },
  assign: { roles: ['Notes.Admin', 'Notes.Owner'] },
  export: { roles: 'Notes.Read.All' },
}
const asked = [...Object.keys(tools), 'unnamed', 'constructor', '__proto__']

function mount(app: Express, auth: EntraAuth): void {
  const gated = requireBearer(auth)
  app.use(oauthRoutes(auth))
  const guards = {
    closed: scopeGuard(auth, { tools, otherTools: 'deny' }),
    open: scopeGuard({ tools: { add_note: 'notes.write' } }),
    route: scopeGuard({ scopes: 'notes.write', tools: { assign: tools.assign } }),
    bare: scopeGuard('notes.write'),
  }
  for (const [name, guard] of Object.entries(guards)) {
    app.all(`/${name}`, gated, guard, (_req, res) => void res.json({}))
    app.get(`/${name}/verdicts`, gated, (req, res) => {
      res.json(asked.map((tool) => mayCall(guard, authOf(req), tool)))
    })
  }
  app.all(
    '/random',
    gated,
    (req, res, next) => randomGuard(req, res, next),
    (_req, res) => {
      res.json({})
    },
  )
  app.get('/random/verdicts/:tool', gated, (req, res) => {
    res.json(mayCall(randomGuard, authOf(req), String(req.params.tool)))
  })
  app.get('/misspelt', gated, (req, res) => {
    res.json(mayCall(scopeGuard('notes.raed'), authOf(req), 'add_note'))
  })
  app.use(((error: Error, _req, res, _next) => {
    res.status(500).json({ name: error.name, message: error.message })
  }) satisfies express.ErrorRequestHandler)
}

beforeAll(async () => {
  entra = await startEntraWithAgents()
  const scopes = entraScopes({
    clientId: entra.app.clientId,
    required: ['notes.read'],
    optional: ['notes.write', 'notes.admin'],
    implies: { 'notes.write': ['notes.read'] },
  })
  gate = await startGate(entra, { options: { scopes }, mount })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

const client = () => entra.apps[1]?.clientId ?? ''
const callers: Record<string, () => Promise<string>> = {
  reader: () => entra.mintAccessToken({ user: bob, scopes: ['notes.read'] }),
  writer: () => entra.mintAccessToken({ user: bob, scopes: ['notes.write'] }),
  administrator: () => entra.mintAccessToken({ user: ada, scopes: ['notes.read'] }),
  daemon: () => entra.mintAccessToken({ user: null, client: client() }),
  'reader through an agent': () => tokenForPerson(entra, bob),
  agent: () => agentToken(entra),
  'account of an agent': async () => (await accountToken(entra)).token,
  'reader through the proxy': async () => (await login(gate.url, { user: bob })).access_token,
  'administrator through the proxy': async () =>
    (await login(gate.url, { user: ada })).access_token,
}

async function verdicts(guard: string, token: string): Promise<Record<string, string>> {
  const answers = (await (await ask(`${gate.url}/${guard}/verdicts`, token)).json()) as string[]
  return Object.fromEntries(asked.map((tool, i) => [tool, answers[i] ?? '']))
}

/** What the guard says when the tool is really called. */
async function outcome(guard: string, token: string, tool: string): Promise<string> {
  const response = await post(`${gate.url}/${guard}`, token, toolCall(tool))
  if (response.status === 200) return 'yes'
  expect(response.status).toBe(403)
  const { error } = (await response.json()) as { error: string }
  const challenge = response.headers.get('www-authenticate')
  expect([error, challenge !== null]).toEqual(
    challenge ? ['insufficient_scope', true] : ['access_denied', false],
  )
  return challenge ? 'step-up' : 'no'
}

const kinds: CallerKind[] = ['user', 'agent-for-user', 'agent', 'agent-user', 'app']
const anyTool = fc.constantFrom('one', 'two', 'constructor', '__proto__', 'toString')
const anyRequirement = fc
  .record(
    {
      scopes: fc.subarray(['notes.read', 'notes.write', 'notes.admin'], { minLength: 1 }),
      roles: fc.subarray(['Notes.Admin', 'Notes.Read.All', 'nobody.has.it'], { minLength: 1 }),
      callers: fc.subarray(kinds, { minLength: 1 }),
    },
    { requiredKeys: [] },
  )
  .filter((need) => Object.keys(need).length > 0)
/** Any that `scopeGuard` takes. A tool of any name is a property of its own. */
const anyGuard: fc.Arbitrary<ScopeGuardOptions> = fc
  .record({
    route: fc.option(anyRequirement, { nil: {} }),
    tools: fc.uniqueArray(fc.tuple(anyTool, anyRequirement), {
      selector: ([name]) => name,
      minLength: 1,
    }),
    otherTools: fc.constantFrom('allow' as const, 'deny' as const),
  })
  .map(({ route, tools, otherTools }) => ({
    ...route,
    tools: Object.fromEntries(tools),
    otherTools,
  }))

describe('mayCall', () => {
  it.each(Object.keys(callers))('says of a %s what the guard does', async (caller) => {
    const token = (await callers[caller]?.()) ?? ''
    for (const guard of ['closed', 'open', 'route', 'bare']) {
      const said = await verdicts(guard, token)
      for (const tool of asked) {
        expect([guard, tool, said[tool]]).toEqual([guard, tool, await outcome(guard, token, tool)])
      }
    }
  })

  it('tells what a login unlocks from what only an administrator can', async () => {
    const said = async (caller: string) => verdicts('closed', (await callers[caller]?.()) ?? '')
    expect(await said('reader')).toMatchObject({
      whoami: 'yes',
      list_notes: 'yes',
      add_note: 'step-up',
      purge: 'step-up',
      assign: 'no',
      export: 'no',
      unnamed: 'no',
      constructor: 'no',
    })
    expect(await said('administrator through the proxy')).toMatchObject({
      add_note: 'step-up',
      purge: 'yes',
      assign: 'yes',
      export: 'no',
    })
    // An app has nobody who could log in for it.
    expect(await said('daemon')).toMatchObject({ list_notes: 'no', add_note: 'no', export: 'yes' })
  })

  it('says of any guard what it does', async () => {
    const tokens = await Promise.all(Object.values(callers).map((token) => token()))
    await fc.assert(
      fc.asyncProperty(
        anyGuard,
        fc.constantFrom(...tokens),
        anyTool,
        async (options, token, tool) => {
          randomGuard = scopeGuard(gate.auth, options)
          const path = `${gate.url}/random/verdicts/${encodeURIComponent(tool)}`
          const said = await (await ask(path, token)).json()
          expect(said).toBe(await outcome('random', token, tool))
        },
      ),
      { numRuns: 150 },
    )
  }, 60_000)

  it('counts what the route needs too', async () => {
    const reader = await verdicts('route', (await callers.reader?.()) ?? '')
    expect([reader.list_notes, reader.assign]).toEqual(['step-up', 'no'])
    const writer = await verdicts('route', (await callers.writer?.()) ?? '')
    expect([writer.list_notes, writer.assign]).toEqual(['yes', 'no'])
  })

  it('says what is wrong with what it is given', async () => {
    const token = (await callers.reader?.()) ?? ''
    const auth: AuthInfoLike = {}
    expect(() => mayCall(scopeGuard('notes.read'), auth, 'add_note')).toThrow(
      /^mayCall: no auth of requireBearer here/,
    )
    const misspelt = await ask(`${gate.url}/misspelt`, token)
    expect(await misspelt.json()).toEqual({
      name: 'TypeError',
      message: expect.stringContaining('"notes.raed"'),
    })
  })

  it('takes only what scopeGuard made', async () => {
    const failed = await new Promise<Error>((resolve) => {
      const app = express()
      app.get('/', requireBearer(gate.auth), (req, res) => {
        res.end()
        try {
          mayCall(requireBearer(gate.auth), authOf(req), 'add_note')
        } catch (error) {
          resolve(error as Error)
        }
      })
      const server = app.listen(0, async () => {
        const { port } = server.address() as { port: number }
        await ask(`http://localhost:${port}/`, await callers.reader?.())
        server.close()
      })
    })
    expect(failed).toEqual(
      new TypeError('mayCall: pass what scopeGuard returned: mayCall(guard, auth, tool)'),
    )
  })
})
