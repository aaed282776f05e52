/** Enterprise-managed authorization: an identity provider lets clients in for its users, and Entra is not asked. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  authOf,
  groupsOf,
  type IdentityAssertionClaims,
  type MappedUser,
  memoryStorage,
  requireBearer,
  tokenClaim,
  userOf,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import {
  type AssertionWorld,
  aimAt,
  jwtBearer,
  presentNew,
  startAssertionWorld,
} from '../support/assertion-flow.js'
import { startDocumentServer } from '../support/client-documents.js'
import { askBound, askToken, newKey, proof } from '../support/dpop.js'
import { decode } from '../support/gate.js'
import { type Entra, startHost, type TestHost } from '../support/host.js'
import {
  ada,
  addNote,
  bob,
  callMcp,
  getNotes,
  login,
  redirectUri,
  register,
  type Tokens,
  toolText,
} from '../support/oauth-client.js'
import { expectRefusal, hear, jsonOf, type ProxyOptions, startProxy } from '../support/proxy.js'

let entra: Entra
let world: AssertionWorld
let host: TestHost
let other: TestHost
let url: string
beforeAll(async () => {
  entra = await startEntra()
  world = await startAssertionWorld({ tid: entra.tenant.id, oid: ada, name: 'Ada at work' })
  const storage = memoryStorage()
  const settings = { identityAssertions: [{ issuer: world.idp.url, mapUser: entraIds }] }
  host = await startHost(entra, { storage, settings })
  url = host.url
  other = await startHost(entra, { storage, settings: { ...settings, baseUrl: url } })
  await aimAt(world, url)
})
afterAll(async () => {
  await Promise.all([host.close(), other.close()])
  await entra.close()
})

function entraIds({ tid, oid, name }: IdentityAssertionClaims): MappedUser | undefined {
  if (typeof tid !== 'string' || typeof oid !== 'string') return undefined
  return { tid, oid, ...(typeof name === 'string' && { name }) }
}

async function tokensOf(response: Response): Promise<Tokens> {
  const body = await jsonOf<Tokens>(response)
  expect([response.status, body]).toEqual([200, expect.objectContaining({ token_type: 'Bearer' })])
  return body
}

describe('an identity provider that the operator trusts', () => {
  it('is announced by the metadata of the server', async () => {
    const metadata = await jsonOf(await fetch(`${url}/.well-known/oauth-authorization-server`))
    expect(metadata.authorization_grant_profiles_supported).toEqual([
      'urn:ietf:params:oauth:grant-profile:id-jag',
    ])
    expect(metadata.grant_types_supported).toEqual([
      'authorization_code',
      'refresh_token',
      jwtBearer,
    ])
  })

  it('lets a client in for a user: with an access token that works on every replica, and no refresh token', async () => {
    const response = await presentNew(url, world)
    expect(response.headers.get('cache-control')).toBe('no-store')
    const tokens = await tokensOf(response)
    expect(tokens).toEqual({
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'notes.read notes.write',
    })
    for (const each of [url, other.url]) {
      const whoami = await callMcp(each, tokens.access_token, 'tools/call', { name: 'whoami' })
      const { user, client } = (await toolText(whoami)) as { user: object; client: string }
      expect(user).toMatchObject({ tid: entra.tenant.id, oid: ada, name: 'Ada at work', roles: [] })
      expect(client).toBe(world.clientId)
    }
    expect((await addNote(other.url, tokens.access_token, 'from work')).status).toBe(201)
  })

  it('issues a token for the resource alone that names no person', async () => {
    const { access_token } = await tokensOf(await presentNew(url, world))
    const { claims } = decode(access_token)
    expect(claims).toMatchObject({ iss: url, aud: `${url}/mcp`, client_id: world.clientId })
    expect(JSON.stringify(claims)).not.toMatch(/Ada|user-1|0000ada0/)
  })

  it('finds the same notes as a login of the same user at Entra', async () => {
    const asserted = await tokensOf(await presentNew(url, world))
    await addNote(url, asserted.access_token, 'one user, two ways in')
    const own = await login(url, { user: ada })
    expect(await (await getNotes(url, own.access_token)).text()).toContain('two ways in')
  })

  it('is asked for its metadata and keys once, however many assertions come', async () => {
    await Promise.all(
      Array.from({ length: 10 }, async () => tokensOf(await presentNew(url, world))),
    )
    const asked = world.idp.asked.filter((path) => path === '/keys')
    // Two replicas, each with a cache of its own.
    expect(asked.length).toBeLessThanOrEqual(2)
  })

  it('tells who vouched, in the event of the token', async () => {
    const events = hear('mcp-entra:token')
    await tokensOf(await presentNew(url, world))
    expect(events).toEqual([
      expect.objectContaining({
        grantType: jwtBearer,
        issuer: world.idp.url,
        user: { tid: entra.tenant.id, oid: ada },
        scopes: ['notes.read', 'notes.write'],
        resource: `${url}/mcp`,
      }),
    ])
  })
})

describe('the scopes', () => {
  it.each([
    ['what both name', 'notes.read notes.write', 'notes.read', 'notes.read'],
    ['no more than the provider names', 'notes.read', 'notes.read notes.write', 'notes.read'],
    ['all that the provider names', 'notes.write notes.read', undefined, 'notes.write notes.read'],
    [
      'the required ones when the provider names none',
      undefined,
      'notes.read notes.write',
      'notes.read',
    ],
    ['the required ones when nobody names any', undefined, undefined, 'notes.read'],
    ['only those that exist here', 'notes.read openid mail.send', undefined, 'notes.read'],
  ])('are %s', async (_what, asserted, asked, granted) => {
    const more = asked === undefined ? {} : { scope: asked }
    const response = await presentNew(url, world, { claims: { scope: asserted } }, more)
    expect((await tokensOf(response)).scope).toBe(granted)
  })

  it('that this server needs must be among them', async () => {
    await expectRefusal(
      await presentNew(url, world, { claims: { scope: 'mail.send' } }),
      'invalid_grant',
    )
    await expectRefusal(await presentNew(url, world, { claims: { scope: '' } }), 'invalid_grant')
  })

  it('that do not exist are refused when the client names them', async () => {
    await expectRefusal(await presentNew(url, world, {}, { scope: 'notes.none' }), 'invalid_scope')
  })

  it('hold at the gate', async () => {
    const { access_token } = await tokensOf(
      await presentNew(url, world, {}, { scope: 'notes.read' }),
    )
    expect((await getNotes(url, access_token)).status).toBe(200)
    const refused = await addNote(url, access_token, 'no')
    expect(refused.status).toBe(403)
    expect(refused.headers.get('www-authenticate')).toContain('error="insufficient_scope"')
  })
})

describe('the resource', () => {
  it.each([
    ['as a URI', (mcp: string) => mcp],
    ['in a list', (mcp: string) => [mcp]],
    ['not at all', () => undefined],
  ])('may be named %s', async (_how, resource) => {
    const claims = { resource: resource(`${url}/mcp`) }
    const { access_token } = await tokensOf(
      await presentNew(url, world, { claims }, { resource: `${url}/mcp` }),
    )
    expect(decode(access_token).claims.aud).toBe(`${url}/mcp`)
  })

  it('of the request must be one of those of the assertion', async () => {
    const proxy = await proxyWith({ resources: ['/mcp', '/mcp2'] })
    await aimAt(world, proxy.url)
    const both = { claims: { resource: [`${proxy.url}/mcp`, `${proxy.url}/mcp2`] } }
    const second = { resource: `${proxy.url}/mcp2` }
    const { access_token } = await tokensOf(await presentNew(proxy.url, world, both, second))
    expect(decode(access_token).claims.aud).toBe(`${proxy.url}/mcp2`)
    await expectRefusal(await presentNew(proxy.url, world, {}, second), 'invalid_target')
    await expectRefusal(
      await presentNew(proxy.url, world, both, { resource: `${url}/mcp` }),
      'invalid_target',
    )
    await aimAt(world, url)
  })
})

/** A proxy that trusts the provider, with more options. */
function proxyWith(options: ProxyOptions = {}, issuer: object = {}) {
  const trusted = { issuer: world.idp.url, mapUser: entraIds, ...issuer }
  return startProxy(entra, { identityAssertions: [trusted], ...options })
}

describe('clients of every kind', () => {
  it('that registered themselves with a secret, for this grant alone', async () => {
    const response = await fetch(`${url}/register`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        client_name: 'Work client',
        grant_types: [jwtBearer],
        token_endpoint_auth_method: 'client_secret_basic',
      }),
    })
    const client = await jsonOf<{ client_id: string; client_secret: string }>(response)
    expect([response.status, client]).toEqual([
      201,
      expect.objectContaining({ grant_types: [jwtBearer], redirect_uris: [] }),
    ])
    const assertion = await world.idp.assertion({ claims: { client_id: client.client_id } })
    const ask = (secret: string) =>
      fetch(`${url}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${btoa(`${client.client_id}:${secret}`)}` },
        body: new URLSearchParams({ grant_type: jwtBearer, assertion }),
      })
    const wrong = await ask('wrong-secret-of-somebody')
    await expectRefusal(wrong, 'invalid_client', 401)
    // The refusal has not used the assertion up.
    await tokensOf(await ask(client.client_secret))
  })

  it('that are a document on the web', async () => {
    const documents = await startDocumentServer()
    const proxy = await proxyWith({ clientMetadata: documents.options })
    const both = ['authorization_code', 'refresh_token']
    for (const grant_types of [both, [...both, jwtBearer], [jwtBearer]]) {
      const clientId = documents.publish({ grant_types })
      const claims = { aud: proxy.url, resource: `${proxy.url}/mcp`, client_id: clientId }
      await tokensOf(await presentNew(proxy.url, { ...world, clientId }, { claims }))
    }
    const workOnly = documents.publish({ grant_types: [jwtBearer] })
    const query = new URLSearchParams({ client_id: workOnly, redirect_uri: redirectUri })
    const login = await fetch(`${proxy.url}/authorize?${query}`, { redirect: 'manual' })
    expect(login.status).toBe(400)
  })

  it('that the operator has set up, if the operator says that this provider may let them in', async () => {
    const [allowed, forbidden] = ['work-client', 'home-client'].map((client_id) => ({
      client_id,
      client_name: client_id,
      token_endpoint_auth_method: 'client_secret_post' as const,
      client_secret: `secret of the ${client_id}`,
      grant_types: [jwtBearer],
    }))
    if (!allowed || !forbidden) throw new Error('two clients')
    const proxy = await proxyWith({ clients: [allowed, forbidden] }, { clients: ['work-client'] })
    const ask = ({ client_id: clientId, client_secret }: typeof allowed) => {
      const claims = { aud: proxy.url, resource: `${proxy.url}/mcp`, client_id: clientId }
      return presentNew(proxy.url, { ...world, clientId }, { claims }, { client_secret })
    }
    await tokensOf(await ask(allowed))
    await expectRefusal(await ask(forbidden), 'invalid_grant')
  })
})

describe('without Entra', () => {
  it('there is nothing to exchange: the answer says so in words', async () => {
    const { access_token } = await tokensOf(await presentNew(url, world))
    const refused = await callMcp(url, access_token, 'tools/call', { name: 'my_profile' })
    expect(refused.status).toBe(403)
    expect(refused.headers.get('www-authenticate')).toBeNull()
    expect(await jsonOf(refused)).toEqual({
      error: 'access_denied',
      error_description: expect.stringContaining('no Microsoft Entra sign-in to exchange'),
    })
  })

  it('claims are those of the mapped user, and groups cannot be known', async () => {
    const seen: unknown[] = []
    const proxy = await proxyWith({
      mount: (app, auth) => {
        app.get('/who', requireBearer(auth), (req, res) => {
          const caller = authOf(req)
          seen.push(tokenClaim(caller, 'oid'), tokenClaim(caller, 'iss'))
          expect(() => groupsOf(caller)).toThrow(RangeError)
          expect(() => tokenClaim(caller, 'groups')).toThrow(RangeError)
          res.json(caller.extra)
        })
      },
    })
    await aimAt(world, proxy.url)
    const claims = { groups: ['11111111-2222-4333-8444-555555555555'] }
    const { access_token } = await tokensOf(await presentNew(proxy.url, world, { claims }))
    const headers = { authorization: `Bearer ${access_token}` }
    const extra = await jsonOf(await fetch(`${proxy.url}/who`, { headers }))
    expect(seen).toEqual([ada, world.idp.url])
    expect(extra).toMatchObject({ tokenKind: 'proxy', user: { oid: ada, roles: [] } })
    await aimAt(world, url)
  })

  it('a login of the same user at Entra goes on as ever, and lends nothing', async () => {
    const own = await login(url, { user: ada, clientId: world.clientId })
    const mine = await callMcp(url, own.access_token, 'tools/call', { name: 'my_profile' })
    expect(await toolText(mine)).toMatchObject({ id: ada })
    const { access_token } = await tokensOf(await presentNew(url, world))
    const refused = await callMcp(url, access_token, 'tools/call', { name: 'my_profile' })
    expect(refused.status).toBe(403)
  })
})

describe('who may not come in', () => {
  it.each([
    ['without tid', { tid: undefined }],
    ['without oid', { oid: undefined }],
    ['with ids that are no GUIDs', { oid: 'ada@contoso.example' }],
    ['of another tenant', { tid: '11111111-2222-4333-8444-555555555555' }],
  ])('a user %s', async (_what, claims) => {
    await expectRefusal(await presentNew(url, world, { claims }), 'invalid_grant')
  })

  it('one whom the login policy refuses, by what mapUser says and not by claims of the provider', async () => {
    const roles = (claims: IdentityAssertionClaims) => {
      const user = entraIds(claims)
      return user && { ...user, roles: user.oid === ada ? ['Notes.Admin'] : [] }
    }
    const asked: unknown[] = []
    const proxy = await proxyWith(
      {
        requiredRoles: ['Notes.Admin'],
        allow: (user, claims) => {
          asked.push(claims)
          return user.roles.length > 0
        },
      },
      { mapUser: roles },
    )
    await aimAt(world, proxy.url)
    await tokensOf(await presentNew(proxy.url, world, { claims: { groups: ['administrators'] } }))
    expect(asked).toEqual([expect.objectContaining({ iss: world.idp.url, oid: ada })])
    expect(JSON.stringify(asked)).not.toContain('administrators')
    const claims = { oid: bob, roles: ['Notes.Admin'] }
    await expectRefusal(await presentNew(proxy.url, world, { claims }), 'invalid_grant')
    await aimAt(world, url)
  })

  it.each([
    ['roles that are a text', { roles: 'Mcp.Admin' }],
    ['roles that are no list', { roles: 7 }],
    ['a role that is no text', { roles: ['Mcp.Admin', null] }],
    ['no object', 'ada'],
    ['a yes', true],
    ['an empty object', {}],
  ])('one for whom mapUser answers %s', async (_what, answered) => {
    const mapUser = (claims: IdentityAssertionClaims) =>
      typeof answered === 'object' && Object.keys(answered).length > 0
        ? { ...entraIds(claims), ...answered }
        : answered
    const proxy = await proxyWith({}, { mapUser })
    await aimAt(world, proxy.url)
    await expectRefusal(await presentNew(proxy.url, world), 'invalid_grant')
    await aimAt(world, url)
  })

  it('nobody for want of a name or a role that the directory does not know: null is nothing', async () => {
    const unknown = { name: null, username: null, roles: null }
    const mapUser = (claims: IdentityAssertionClaims) => ({ ...entraIds(claims), ...unknown })
    const proxy = await proxyWith(
      {
        mount: (app, auth) =>
          app.get('/who', requireBearer(auth), (req, res) => void res.json(userOf(authOf(req)))),
      },
      { mapUser },
    )
    await aimAt(world, proxy.url)
    const { access_token } = await tokensOf(await presentNew(proxy.url, world))
    const headers = { authorization: `Bearer ${access_token}` }
    const who = await jsonOf(await fetch(`${proxy.url}/who`, { headers }))
    expect(who).toEqual({ tid: entra.tenant.id, oid: ada, sub: expect.any(String), roles: [] })
    await aimAt(world, url)
  })

  it('nobody while mapUser fails: 503, and the assertion is still good', async () => {
    let down = true
    const mapUser = async (claims: IdentityAssertionClaims) => {
      if (down) throw new Error('the directory is away')
      return entraIds(claims)
    }
    const proxy = await proxyWith({}, { mapUser })
    await aimAt(world, proxy.url)
    const assertion = await world.idp.assertion()
    const form = { grant_type: jwtBearer, assertion, client_id: world.clientId }
    const ask = () =>
      fetch(`${proxy.url}/token`, { method: 'POST', body: new URLSearchParams(form) })
    await expectRefusal(await ask(), 'temporarily_unavailable', 503)
    down = false
    await tokensOf(await ask())
    await aimAt(world, url)
  })
})

describe('ending access', () => {
  const administrator = () => entra.mintAccessToken({ user: bob, claims: { roles: ['Mcp.Admin'] } })
  const end = async () =>
    fetch(`${url}/admin/users/${entra.tenant.id}/${ada}`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${await administrator()}` },
    })
  const second = () => new Promise((resolve) => setTimeout(resolve, 1100))

  it('of a user ends what a provider has given, on every replica, with the assertions it made before', async () => {
    const { access_token } = await tokensOf(await presentNew(url, world))
    for (const each of [url, other.url])
      expect((await getNotes(each, access_token)).status).toBe(200)
    const before = await world.idp.assertion()
    await second()
    expect((await end()).status).toBeLessThan(300)
    await second()
    for (const each of [url, other.url])
      expect((await getNotes(each, access_token)).status).toBe(401)
    const form = { grant_type: jwtBearer, assertion: before, client_id: world.clientId }
    const late = await fetch(`${url}/token`, { method: 'POST', body: new URLSearchParams(form) })
    await expectRefusal(late, 'invalid_grant')
    await tokensOf(await presentNew(url, world))
  })

  it('of one token, by its client (RFC 7009)', async () => {
    const { access_token } = await tokensOf(await presentNew(url, world))
    expect((await getNotes(url, access_token)).status).toBe(200)
    const form = { token: access_token, client_id: world.clientId }
    const revoked = await fetch(`${url}/revoke`, {
      method: 'POST',
      body: new URLSearchParams(form),
    })
    expect(revoked.status).toBe(200)
    await second()
    for (const each of [url, other.url])
      expect((await getNotes(each, access_token)).status).toBe(401)
  })

  it('shows the client among the connected apps of the user, without downstream access', async () => {
    world.clientId = await register(url, { client_name: 'Only at work' })
    await tokensOf(await presentNew(url, world))
    const response = await fetch(`${url}/admin/users/${entra.tenant.id}/${ada}/apps`, {
      headers: { authorization: `Bearer ${await administrator()}` },
    })
    const { apps } = await jsonOf<{ apps: { name?: string }[] }>(response)
    expect(apps.find(({ name }) => name === 'Only at work')).toMatchObject({
      scopes: ['notes.read', 'notes.write'],
      downstream: [],
      logins: 1,
    })
  })
})

it('is no grant of a server that trusts nobody', async () => {
  const proxy = await startProxy(entra)
  await aimAt(world, proxy.url)
  await expectRefusal(await presentNew(proxy.url, world), 'unsupported_grant_type')
  const metadata = await jsonOf(await fetch(`${proxy.url}/.well-known/oauth-authorization-server`))
  expect(metadata).not.toHaveProperty('authorization_grant_profiles_supported')
  expect(metadata.grant_types_supported).toEqual(['authorization_code', 'refresh_token'])
  await aimAt(world, url)
})

describe('an assertion that comes with a DPoP proof', () => {
  const request = async (claims: Readonly<Record<string, unknown>> = {}) => ({
    grant_type: jwtBearer,
    assertion: await world.idp.assertion({ claims }),
    client_id: world.clientId,
  })

  it('gets a token that is bound to the key', async () => {
    const key = newKey()
    const answer = await askToken(url, await request(), proof(key, 'POST', `${url}/token`))
    const tokens = await jsonOf<Tokens>(answer)
    expect([answer.status, tokens.token_type]).toEqual([200, 'DPoP'])
    expect(decode(tokens.access_token).claims.cnf).toEqual({ jkt: key.jkt })
    const notes = `${url}/api/notes`
    const bound = await askBound(
      notes,
      tokens.access_token,
      proof(key, 'GET', notes, tokens.access_token),
    )
    expect(bound.status).toBe(200)
    expect((await getNotes(url, tokens.access_token)).status).toBe(401)
  })

  it('and is bound to a key is good with a proof of that key alone (the draft on sender constraining)', async () => {
    const key = newKey()
    const bound = await request({ cnf: { jkt: key.jkt } })
    for (const wrong of [undefined, newKey()]) {
      const dpop = wrong && proof(wrong, 'POST', `${url}/token`)
      await expectRefusal(await askToken(url, bound, dpop), 'invalid_grant')
    }
    const answer = await askToken(url, bound, proof(key, 'POST', `${url}/token`))
    const { token_type, access_token } = await jsonOf<Tokens>(answer)
    expect([answer.status, token_type]).toEqual([200, 'DPoP'])
    expect(decode(access_token).claims.cnf).toEqual({ jkt: key.jkt })
  })

  it('and is bound to a key is refused where nobody can prove it', async () => {
    const off = await proxyWith({ dpop: 'off' })
    await aimAt(world, off.url)
    const key = newKey()
    const bound = await request({ cnf: { jkt: key.jkt } })
    const dpop = proof(key, 'POST', `${off.url}/token`)
    await expectRefusal(await askToken(off.url, bound, dpop), 'invalid_grant')
    await aimAt(world, url)
  })

  it('is not spent by a proof that was used before, and then good with a new one', async () => {
    const key = newKey()
    const used = proof(key, 'POST', `${url}/token`)
    expect((await askToken(url, await request(), used)).status).toBe(200)
    const fresh = await request()
    const replayed = await askToken(url, fresh, used)
    expect([replayed.status, (await jsonOf(replayed)).error]).toEqual([400, 'invalid_dpop_proof'])
    expect((await askToken(url, fresh, proof(key, 'POST', `${url}/token`))).status).toBe(200)
  })
})
