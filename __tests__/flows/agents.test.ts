/** Agents of Microsoft Entra Agent ID at the gate: who calls, what each kind may do, and what the operator hears. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type express from 'express'
import type { Express } from 'express'
import {
  authOf,
  callerOf,
  type EntraAuth,
  mayCall,
  oauthRoutes,
  oboToken,
  requireBearer,
  scopeGuard,
  userOf,
} from 'mcp-entra'
import {
  account,
  accountToken,
  agent,
  agentToken,
  askForToken,
  blueprint,
  blueprintRequest,
  sibling,
  startEntraWithAgents,
  tokenForPerson,
} from '../support/agents.js'
import { ask, post, startGate, type TestGate, toolCall, userRead } from '../support/gate.js'
import type { Entra } from '../support/host.js'
import { ada, login } from '../support/oauth-client.js'

let entra: Entra
let gate: TestGate
let daemon: string

function mount(app: Express, auth: EntraAuth): void {
  const gated = requireBearer(auth)
  const guard = scopeGuard(auth, {
    tools: {
      list_notes: 'notes.read',
      people: { callers: ['user', 'agent-for-user'] },
      write: { scopes: 'notes.write', callers: ['user'] },
      agents: { roles: 'Notes.Read.All', callers: ['agent'] },
      export: { roles: 'Notes.Read.All' },
    },
    otherTools: 'deny',
  })
  const echo: express.RequestHandler = (req, res) => {
    const { extra, scopes } = authOf(req)
    res.json({ caller: callerOf(authOf(req)), user: extra.user?.oid, scopes })
  }
  app.use(oauthRoutes(auth))
  app.get('/who', gated, echo)
  app.get('/user', gated, (req, res) => void res.json(userOf(authOf(req))))
  app.get('/people', gated, scopeGuard({ callers: ['user', 'agent-for-user'] }), echo)
  app.get('/obo', gated, oboToken(auth, { graph: { scopes: [userRead] } }), echo)
  app.get('/may/:tool', gated, (req, res) => {
    res.json(mayCall(guard, authOf(req), String(req.params.tool)))
  })
  app.all('/mcp', gated, guard, echo)
  app.use(((error: Error, _req, res, _next) => {
    res.status(500).json({ name: error.name, message: error.message })
  }) satisfies express.ErrorRequestHandler)
}

beforeAll(async () => {
  entra = await startEntraWithAgents()
  gate = await startGate(entra, { mount })
  daemon = entra.apps[1]?.clientId ?? ''
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

const read = async (path: string, token: string) => {
  const response = await ask(`${gate.url}${path}`, token)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

const callers: Record<string, () => Promise<string>> = {
  user: () => entra.mintAccessToken({ user: ada, scopes: ['notes.read'] }),
  'agent-for-user': () => tokenForPerson(entra, ada),
  agent: () => agentToken(entra),
  'agent-user': async () => (await accountToken(entra)).token,
  app: () => entra.mintAccessToken({ user: null, client: daemon }),
}
const tokenOf = async (kind: string) => (await callers[kind]?.()) ?? ''

describe('callerOf', () => {
  const byAgent = { id: agent, blueprint }

  it.each([
    ['user', { roles: ['Notes.Admin'] }, ada, ['notes.read']],
    ['agent-for-user', { roles: ['Notes.Admin'], agent: byAgent }, ada, ['notes.read']],
    ['agent', { roles: ['Notes.Read.All'], agent: byAgent }, undefined, []],
    ['agent-user', { roles: [], agent: byAgent, oid: account }, undefined, ['notes.read']],
    ['app', { roles: ['Notes.Read.All'] }, undefined, []],
  ])('tells a caller of the kind %s', async (kind, caller, user, scopes) => {
    const { status, body } = await read('/who', await tokenOf(kind))
    expect(status).toBe(200)
    expect(body).toMatchObject({ caller: { kind, tid: entra.tenant.id, ...caller }, scopes })
    expect(body.user).toBe(user)
    expect('agent' in Object(body.caller)).toBe('agent' in caller)
  })

  it('tells a person who came through the proxy', async () => {
    const { access_token: token } = await login(gate.url, { user: ada })
    expect((await read('/who', token)).body).toMatchObject({ caller: { kind: 'user' }, user: ada })
  })

  it.each([
    ['agent', 'an agent calls on its own behalf: there is no user'],
    ['agent-user', 'an agent calls with a user account of its own: nobody is behind it'],
    ['app', 'an app calls on its own behalf: there is no user'],
  ])('has no user to show for the kind %s', async (kind, why) => {
    const { body } = await read('/user', await tokenOf(kind))
    expect(body).toEqual({ name: 'TypeError', message: `userOf: ${why}` })
  })
})

describe('a token that does not say for certain who calls', () => {
  const mint = (claims: object) =>
    entra.mintAccessToken({ user: ada, scopes: ['notes.read'], claims: { ...claims } })

  it.each<[string, object]>([
    ["an agent's subject with the type of a user", { idtyp: 'user', xms_sub_fct: '3 11' }],
    ["an account's subject with the type of an app", { idtyp: 'app', xms_sub_fct: '13' }],
    ['a subject that is agent and account', { xms_sub_fct: '13 11' }],
    ['a type that is neither', { idtyp: 'device' }],
    ['a type in other letters', { idtyp: 'User' }],
    ['facets that are no text', { xms_act_fct: 11 }],
    ['a list of facets', { xms_sub_fct: ['13'] }],
    ['facets with something else between them', { xms_sub_fct: '3,13' }],
    ['facets by their names', { xms_sub_fct: 'AgentIDUser' }],
    ['a blueprint that is no text', { xms_par_app_azp: { id: blueprint } }],
  ])('is refused: %s', async (_what, claims) => {
    const { status, body } = await read('/who', await mint(claims))
    expect([status, body.error]).toEqual([401, 'invalid_token'])
  })

  it.each<[string, object, string]>([
    [
      'numbers that only contain the one',
      { xms_act_fct: '111 211', xms_sub_fct: '113 130' },
      'user',
    ],
    ['one mark of two: the facet', { xms_act_fct: '3 11 9' }, 'agent-for-user'],
    ['one mark of two: the blueprint', { xms_par_app_azp: blueprint }, 'agent-for-user'],
    [
      'an agent that is its own subject, without a type and with a scope',
      { xms_sub_fct: '11', idtyp: undefined },
      'agent',
    ],
    ['an account without any other mark', { xms_sub_fct: '13' }, 'agent-user'],
    ['a number with zeros, and another blank', { xms_sub_fct: '3\t013' }, 'agent-user'],
  ])('is read by its facets: %s', async (_what, claims, kind) => {
    expect((await read('/who', await mint(claims))).body).toMatchObject({ caller: { kind } })
  })
})

describe('a token without a scope', () => {
  it.each(['/', '', ' '])('is an app by its roles, when scp is %j', async (scp) => {
    const options = { user: null, client: daemon } as const
    const token = await entra.mintAccessToken({ ...options, claims: { scp, idtyp: undefined } })
    expect((await read('/who', token)).body).toMatchObject({ caller: { kind: 'app' } })
  })

  it.each(['/', '', ' '])("of a user's grants nothing, when scp is %j", async (scp) => {
    const token = await entra.mintAccessToken({ user: ada, claims: { scp } })
    expect((await read('/who', token)).status).toBe(401)
  })
})

describe('an app or an agent on its own', () => {
  it.each(['agent', 'app'])('has no scopes, whatever its scp says: the kind %s', async (kind) => {
    const client = kind === 'agent' ? agent : daemon
    const roles = ['Notes.Read.All']
    const claims = { idtyp: 'app', scp: 'notes.read notes.write' }
    const token = await entra.mintAccessToken({ user: null, client, roles, claims })
    expect((await read('/who', token)).body).toMatchObject({ caller: { kind }, scopes: [] })
    expect((await post(`${gate.url}/mcp`, token, toolCall('list_notes'))).status).toBe(403)
  })
})

describe('scopeGuard({ callers })', () => {
  it.each(Object.keys(callers))('lets in the kinds that it names, here %s', async (kind) => {
    const token = await tokenOf(kind)
    const isPerson = kind === 'user' || kind === 'agent-for-user'
    const { status, body } = await read('/people', token)
    expect(status).toBe(isPerson ? 200 : 403)
    if (!isPerson) {
      expect(body).toEqual({
        error: 'access_denied',
        error_description: 'This is open to callers of the kind user or agent-for-user only.',
      })
    }
  })

  it('offers no login to a caller of another kind, whatever scope is missing', async () => {
    for (const [kind, expected] of [
      ['user', 'step-up'],
      ['agent-for-user', 'no'],
      ['agent-user', 'no'],
    ] as const) {
      const token = await tokenOf(kind)
      expect((await read('/may/write', token)).body).toBe(expected)
      const refused = await post(`${gate.url}/mcp`, token, toolCall('write'))
      expect([refused.status, refused.headers.has('www-authenticate')]).toEqual([
        403,
        expected === 'step-up',
      ])
    }
  })

  it('asks for the role as well', async () => {
    const said = async (kind: string) => (await read('/may/agents', await tokenOf(kind))).body
    expect([await said('agent'), await said('app'), await said('user')]).toEqual([
      'yes',
      'no',
      'no',
    ])
  })

  it('takes only kinds there are, and at least one', () => {
    expect(() => scopeGuard({ callers: [] })).toThrow(/callers is a list of some of 'user'/)
    expect(() => scopeGuard({ callers: ['users' as 'user'] })).toThrow(/\["users"\]/)
    expect(() => scopeGuard({ callers: 'user' as never })).toThrow(/callers is a list/)
    expect(() => scopeGuard({ tools: { a: { callers: [] } } })).toThrow(/callers is a list/)
  })
})

describe('an agent at the gate', () => {
  it('without a role is refused, like any app', async () => {
    const { status, body } = await read('/who', await agentToken(entra, sibling))
    expect([status, body.error]).toEqual([403, 'access_denied'])
  })

  it('gets nowhere with the assertion that is its proof, even with our audience on it', async () => {
    const { token: proof } = await askForToken(entra, blueprintRequest())
    expect((await read('/who', proof)).status).toBe(401)
    const forUs = await entra.mintAccessToken({ user: null, client: blueprint, roles: [] })
    expect((await read('/who', forUs)).status).toBe(403)
  })

  it('with a user account lacks a required scope: 403, and the login policy is asked about it', async () => {
    const claims = { scp: 'notes.other' }
    const token = await entra.mintAccessToken({ user: account, client: agent, claims })
    const { status, body } = await read('/who', token)
    expect([status, body.error]).toEqual([403, 'insufficient_scope'])
    const asked: unknown[] = []
    const picky = await startGate(entra, {
      mount,
      options: {
        allow: (user) => {
          asked.push(user.oid)
          return user.oid !== account
        },
      },
    })
    const own = await tokenOf('agent-user')
    expect((await ask(`${picky.url}/who`, own)).status).toBe(403)
    expect(asked).toEqual([account])
    await picky.close()
  })

  it('on its own has nobody to exchange a token for', async () => {
    const { status, body } = await read('/obo', await tokenOf('agent'))
    expect([status, body.error]).toEqual([403, 'access_denied'])
  })
})

describe('events about agents', () => {
  it.each([
    ['agent-for-user', { user: { oid: ada }, agent: { id: agent, blueprint } }],
    ['agent', { agent: { id: agent, blueprint } }],
    ['agent-user', { agent: { id: agent, blueprint, account } }],
    ['app', {}],
  ])('name the agent of a caller of the kind %s', async (kind, expected) => {
    const heard: Record<string, unknown>[] = []
    const listen = (message: unknown) => void heard.push(message as Record<string, unknown>)
    const token = await tokenOf(kind)
    subscribe('mcp-entra:refusal', listen)
    await post(`${gate.url}/mcp`, token, toolCall('write'))
    unsubscribe('mcp-entra:refusal', listen)
    expect(heard).toHaveLength(1)
    expect(heard[0]).toMatchObject({ tool: 'write', ...expected })
    expect([heard[0]?.agent !== undefined, heard[0]?.user !== undefined]).toEqual([
      'agent' in expected,
      'user' in expected,
    ])
    expect(JSON.stringify(heard)).not.toMatch(/eyJ|clerk|Clerk/)
  })
})
