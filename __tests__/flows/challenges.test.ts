/** The claims-challenge loop: what Entra wants of a user downstream reaches Entra with the next login. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { memoryStorage, type Storage } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import {
  claimsOf,
  type DownstreamHost,
  get,
  mailRead,
  startDownstreamHost,
  userRead,
} from '../support/downstream-host.js'
import { type Entra, startWorld, type World } from '../support/host.js'
import {
  ada,
  authorizeUrl,
  bob,
  login,
  newBrowser,
  pkce,
  redeem,
  refresh,
  register,
  type Tokens,
} from '../support/oauth-client.js'
import {
  type Connection,
  type Generation,
  generations,
  toolJson,
} from '../support/sdk-generations.js'
import { TestProvider } from '../support/sdk-provider.js'

const adaName = 'ada@contoso.example'
const grace = '0000ce5a-0000-4000-8000-000000000003'
const mfaClaims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'

/** What the browser brought to Entra: forms of its own pages left out. */
function logins(entra: Entra): Record<string, string>[] {
  return entra
    .requestsTo('authorize')
    .filter(({ method }) => method === 'GET')
    .map(({ params }) => params)
}

function scopesOf(params: Record<string, string> | undefined): string[] {
  return (params?.scope ?? '').split(' ').sort()
}

describe.each(generations)('a real client ($name)', (generation: Generation) => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.close())
  afterEach(() => {
    world.entra.clearFaults()
    world.entra.requireMfa(adaName, false)
    world.entra.consent('all', userRead)
  })

  async function signIn(provider: TestProvider): Promise<void> {
    world.entra.clearRequests()
    await generation.finish(world.url, provider, await provider.signIn())
  }

  async function signedIn(): Promise<{ provider: TestProvider; connection: Connection }> {
    const provider = new TestProvider(adaName)
    await expect(generation.connect(world.url, provider)).rejects.toThrow()
    await signIn(provider)
    return { provider, connection: await generation.connect(world.url, provider) }
  }

  it('logs in again with the claims of Entra when it wants MFA, and then the call works', async () => {
    const { provider, connection } = await signedIn()
    await expect(connection.call('add_note', { text: 'one' })).rejects.toThrow()
    await signIn(provider)
    world.entra.requireMfa(adaName, true)

    await expect(connection.call('my_profile')).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(3)
    // The scopes it had stepped up to are asked for again.
    expect(scopesOf(Object.fromEntries(provider.sentTo[2]?.searchParams ?? []))).toEqual([
      'notes.read',
      'notes.write',
    ])
    await signIn(provider)
    const [plain, challenged, ...more] = logins(world.entra)
    expect(more).toEqual([])
    expect(plain).not.toHaveProperty('claims')
    expect(JSON.parse(challenged?.claims ?? '')).toEqual({
      access_token: { capolids: { essential: true, values: [expect.any(String)] } },
    })
    expect(challenged?.login_hint).toBe(adaName)
    expect(challenged).not.toHaveProperty('prompt')

    expect(toolJson(await connection.call('my_profile'))).toMatchObject({
      userPrincipalName: adaName,
    })
    expect(toolJson(await connection.call('add_note', { text: 'two' }))).toContain('two')
    expect(provider.sentTo).toHaveLength(3)
    await connection.close()
  })

  it('logs in again with the downstream scopes when consent is missing', async () => {
    const { provider, connection } = await signedIn()
    world.entra.withdrawConsent('all', userRead)
    await expect(connection.call('my_profile')).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(2)
    await signIn(provider)
    const [plain, challenged, ...more] = logins(world.entra)
    expect(more).toEqual([])
    expect(plain).not.toHaveProperty('prompt')
    expect(challenged).toMatchObject({ prompt: 'consent', login_hint: adaName })
    expect(scopesOf(challenged)).toContain(userRead)
    expect(challenged).not.toHaveProperty('claims')
    expect(toolJson(await connection.call('my_profile'))).toMatchObject({
      userPrincipalName: adaName,
    })
    expect(provider.sentTo).toHaveLength(2)
    await connection.close()
  })

  it('hears 403 and goes in no circles when the login did not help', async () => {
    const { provider, connection } = await signedIn()
    world.entra.fault({ at: 'token', grant: 'on_behalf_of', error: 53003, claims: mfaClaims })
    await expect(connection.call('my_profile')).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(2)
    await signIn(provider)
    expect(logins(world.entra)[1]?.claims).toBe(mfaClaims)
    for (let i = 0; i < 3; i++)
      await expect(connection.call('my_profile')).rejects.toThrow(/403|does not let/)
    expect(provider.sentTo).toHaveLength(2)
    // Everything else goes on working, refreshes included.
    provider.saveTokens({ ...provider.tokens(), access_token: 'no longer good' })
    expect(toolJson(await connection.call('list_notes'))).toEqual(expect.any(Array))
    expect(provider.sentTo).toHaveLength(2)
    await connection.close()
  })
})

describe('a challenge in proxy mode', () => {
  let entra: Entra
  let host: DownstreamHost
  let clientId: string
  beforeAll(async () => {
    entra = await startEntra()
    host = await startDownstreamHost({
      entra,
      downstream: {
        graph: [userRead],
        inbox: [mailRead],
        everything: ['https://graph.microsoft.com/.default'],
      },
    })
  })
  beforeEach(async () => {
    clientId = await register(host.url)
  })
  afterAll(async () => {
    await host.close()
    await entra.close()
  })
  afterEach(() => {
    entra.clearFaults()
    for (const user of [ada, bob]) entra.requireMfa(user, false)
    entra.withdrawConsent('all', mailRead)
  })

  const call = (name: string, { access_token }: Tokens) =>
    get(`${host.url}/api/${name}`, access_token)
  const signIn = (user = ada) => login(host.url, { user, clientId })

  /** A login that leaves the challenge to the callback: what the client gets in the end, and the way there. */
  async function attempt(user = ada, params: Record<string, string> = {}) {
    entra.clearRequests()
    const browser = newBrowser()
    const { verifier, challenge } = pkce()
    const consent = await browser.open(
      authorizeUrl(host.url, clientId, challenge, { login_hint: user, ...params }),
    )
    const answer = new URL((await browser.press(consent, 'approve')).url)
    return { answer, verifier, ways: logins(entra) }
  }

  it('is a 401 whose claims are those of Entra, and refuses the refresh that would not help', async () => {
    const tokens = await signIn()
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims: mfaClaims })
    const response = await call('graph', tokens)
    const description = 'Microsoft Entra wants the user to sign in again, with more proof.'
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      [
        'Bearer error="insufficient_claims"',
        `error_description="${description}"`,
        `claims="${Buffer.from(mfaClaims).toString('base64')}"`,
        `authorization_uri="${entra.url}/${entra.tenant.id}/oauth2/v2.0/authorize"`,
        'scope="notes.read"',
        `resource_metadata="${host.url}/.well-known/oauth-protected-resource/mcp"`,
      ].join(', '),
    )
    expect(await response.json()).toEqual({
      error: 'insufficient_claims',
      error_description: description,
    })
    entra.clearRequests()
    const refused = await refresh(host.url, tokens)
    expect(refused.status).toBe(400)
    expect(await refused.json()).toEqual({
      error: 'invalid_grant',
      error_description:
        'Microsoft Entra asks the user to sign in again, for example with MFA. Authorize again.',
    })
    expect(entra.requestsTo('token')).toEqual([])
    // The login itself is as good as before.
    expect((await call('whoami', tokens)).status).toBe(200)
  })

  it('is told to nobody but the operator in Entra words', async () => {
    const tokens = await signIn()
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims: mfaClaims })
    host.logs.length = 0
    expect(await (await call('graph', tokens)).text()).not.toContain('AADSTS')
    expect(host.logs).toContainEqual(
      expect.objectContaining({ reason: 'interaction_required', codes: [50076] }),
    )
    expect(JSON.stringify(host.logs)).not.toMatch(/ada@|eyJ/)
  })

  it('leaves other users of the same client alone, and other logins of the same user', async () => {
    const [mine, other, his] = [await signIn(), await signIn(), await signIn(bob)]
    entra.requireMfa(ada, true)
    expect((await call('graph', mine)).status).toBe(401)
    expect((await call('graph', his)).status).toBe(200)
    expect((await refresh(host.url, his)).status).toBe(200)
    expect((await refresh(host.url, other)).status).toBe(200)
    expect((await refresh(host.url, mine)).status).toBe(400)
    const { answer, ways } = await attempt(bob)
    expect(answer.searchParams.get('code')).toEqual(expect.any(String))
    expect(ways).toHaveLength(1)
  })

  it('leaves the user alone at other clients', async () => {
    const tokens = await signIn()
    entra.requireMfa(ada, true)
    expect((await call('graph', tokens)).status).toBe(401)
    const elsewhere = await register(host.url, { client_name: 'Another client' })
    entra.clearRequests()
    await login(host.url, { user: ada, clientId: elsewhere })
    expect(logins(entra)).toHaveLength(1)
  })

  it('is over with the login that met it: the next login is an ordinary one', async () => {
    const before = await signIn()
    entra.requireMfa(ada, true)
    expect((await call('graph', before)).status).toBe(401)
    entra.clearRequests()
    const after = await signIn()
    expect(logins(entra)).toHaveLength(2)
    expect((await call('graph', after)).status).toBe(200)
    expect((await refresh(host.url, after)).status).toBe(200)
    expect((await attempt()).ways).toHaveLength(1)
  })

  it('of a call that was late does not bother the login that has met it', async () => {
    const before = await signIn()
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims: mfaClaims })
    expect((await call('graph', before)).status).toBe(401)
    const after = await signIn()
    expect((await call('graph', before)).status).toBe(401)
    entra.clearFaults()
    expect((await call('graph', after)).status).toBe(200)
    expect((await refresh(host.url, after)).status).toBe(200)
  })

  it('asks for consent by the names of the downstream scopes, and for nothing after that', async () => {
    const before = await signIn()
    const response = await call('inbox', before)
    expect(response.status).toBe(401)
    expect(await response.json()).toEqual({
      error: 'invalid_token',
      error_description: 'Consent is needed. Sign in again to give it.',
    })
    expect((await refresh(host.url, before)).status).toBe(400)
    entra.clearRequests()
    const after = await signIn()
    expect(logins(entra)[0]).not.toHaveProperty('prompt')
    expect(logins(entra)[1]).toMatchObject({ prompt: 'consent', login_hint: adaName })
    expect(scopesOf(logins(entra)[1])).toEqual(
      [
        `api://${entra.app.clientId}/notes.read`,
        mailRead,
        'offline_access',
        'openid',
        'profile',
      ].sort(),
    )
    const answer = (await (await call('inbox', after)).json()) as { token: string }
    expect(claimsOf(answer.token).scp).toContain('Mail.Read')
  })

  it('asks for .default on its own: Entra takes no named scope beside it', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 65001 })
    expect((await call('everything', await signIn())).status).toBe(401)
    const { answer, ways } = await attempt()
    expect(answer.searchParams.get('code')).toEqual(expect.any(String))
    expect(ways[1]).toMatchObject({
      prompt: 'consent',
      scope: 'https://graph.microsoft.com/.default openid profile offline_access',
    })
  })

  it('is a 403 with the link for an administrator when consent stays missing', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 65001 })
    expect((await call('inbox', await signIn())).status).toBe(401)
    const response = await call('inbox', await signIn())
    expect(response.status).toBe(403)
    expect(response.headers.get('www-authenticate')).toBeNull()
    const link = `${entra.url}/${entra.tenant.id}/adminconsent?client_id=${entra.app.clientId}`
    expect(await response.json()).toEqual({
      error: 'access_denied',
      error_description: `Nobody has consented to this server using the downstream API. An administrator can: ${link}`,
    })
  })

  it('ends in 403 after three logins when Entra words it differently each time', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 53003 })
    for (let round = 0; round < 3; round++) {
      expect((await call('graph', await signIn())).status).toBe(401)
    }
    const tokens = await signIn()
    for (let round = 0; round < 3; round++) {
      const response = await call('graph', tokens)
      expect(response.status).toBe(403)
      expect(response.headers.get('www-authenticate')).toBeNull()
      expect(await response.json()).toEqual({
        error: 'access_denied',
        error_description: 'Microsoft Entra does not let the user through.',
      })
      host.advance(6)
    }
    // Nothing waits for the next login, and ten minutes later the user may try again.
    expect((await attempt()).ways).toHaveLength(1)
    host.advance(600)
    expect((await call('graph', tokens)).status).toBe(401)
  })

  it('lets one login after the other meet what two APIs want', async () => {
    const first = await signIn()
    const demand = (value: string) =>
      entra.fault({
        at: 'token',
        grant: 'on_behalf_of',
        times: 1,
        error: 50076,
        claims: JSON.stringify({ access_token: { acrs: { value } } }),
      })
    demand('c1')
    expect((await call('graph', first)).status).toBe(401)
    const second = await signIn()
    entra.consent(ada, mailRead)
    demand('c2')
    expect((await call('inbox', second)).status).toBe(401)
    entra.clearRequests()
    const third = await signIn()
    expect(logins(entra).map(({ claims }) => claims)).toEqual([
      undefined,
      '{"access_token":{"acrs":{"value":"c2"}}}',
    ])
    expect((await call('graph', third)).status).toBe(200)
    expect((await call('inbox', third)).status).toBe(200)
  })

  /** The first way to Entra is the ordinary one; the second, with the challenge, ends like this. */
  function secondWayEnds(error: number) {
    entra.fault({ at: 'authorize', times: 1 })
    entra.fault({ at: 'authorize', times: 1, error })
  }

  it('that the user declines is a 403 from then on, and keeps nobody out', async () => {
    entra.requireMfa(ada, true)
    const before = await signIn()
    expect((await call('graph', before)).status).toBe(401)
    secondWayEnds(65004)
    const { answer, ways } = await attempt()
    expect(ways).toHaveLength(2)
    expect(Object.fromEntries(answer.searchParams)).toEqual({
      error: 'access_denied',
      error_description: 'Microsoft Entra did not complete the sign-in.',
      iss: host.url,
      state: 'client-state',
    })
    // The refusal at hand is the one that was declined: the same claims.
    expect((await call('graph', before)).status).toBe(403)
    expect((await refresh(host.url, before)).status).toBe(200)
    expect((await attempt()).ways).toHaveLength(1)
  })

  it('survives an outage of Entra on the way: the next login carries it again', async () => {
    entra.requireMfa(ada, true)
    expect((await call('graph', await signIn())).status).toBe(401)
    secondWayEnds(90033)
    const { answer } = await attempt()
    expect(answer.searchParams.get('error')).toBe('temporarily_unavailable')
    entra.clearRequests()
    const after = await signIn()
    expect(logins(entra)).toHaveLength(2)
    expect((await call('graph', after)).status).toBe(200)
  })

  it('stays with its user when somebody else signs in at the second way', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims: mfaClaims })
    const hers = await signIn()
    expect((await call('graph', hers)).status).toBe(401)
    const browser = newBrowser()
    const { verifier, challenge } = pkce()
    const url = authorizeUrl(host.url, clientId, challenge, { login_hint: ada })
    const chooseBob = ({ searchParams }: URL) => searchParams.set('login_hint', bob)
    const code = await meanwhile(chooseBob, async () => {
      const answer = new URL((await browser.press(await browser.open(url), 'approve')).url)
      return answer.searchParams.get('code') ?? ''
    })
    const his = (await (await redeem(host.url, { code, verifier, clientId })).json()) as Tokens
    const who = (await (await call('whoami', his)).json()) as { user: { oid: string } }
    expect(who.user.oid).toBe(bob)
    // He has met nothing of hers: what Entra wants of him, it wants for the first time.
    expect((await call('graph', his)).status).toBe(401)
    // And hers waits for her still.
    expect((await refresh(host.url, hers)).status).toBe(400)
    expect((await attempt()).ways).toHaveLength(2)
  })

  /** What happens elsewhere whenever the browser comes to Entra with a challenge. */
  async function meanwhile<T>(
    happens: (url: URL) => void | Promise<void>,
    run: () => Promise<T>,
  ): Promise<T> {
    const { fetch: real } = globalThis
    globalThis.fetch = async (input, init) => {
      const url = new URL(String(input))
      if (url.pathname.endsWith('/authorize') && url.searchParams.has('claims')) await happens(url)
      return real(url, init)
    }
    try {
      return await run()
    } finally {
      globalThis.fetch = real
    }
  }

  it('stays the one that the browser has on its way, however often the client calls meanwhile', async () => {
    const before = await signIn()
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 53003 })
    expect((await call('graph', before)).status).toBe(401)
    const callAgain = async () => {
      // A refusal stands for five seconds; then Entra is asked again, and words it differently.
      host.advance(6)
      expect((await call('graph', before)).status).toBe(401)
    }
    expect((await meanwhile(callAgain, attempt)).ways).toHaveLength(2)
  })

  it('sends the browser to Entra with a challenge three times at most, whatever else comes up', async () => {
    const others: Tokens[] = []
    for (let count = 0; count < 6; count++) others.push(await signIn())
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 53003 })
    const another = async () => {
      const tokens = others.pop()
      if (tokens) expect((await call('graph', tokens)).status).toBe(401)
    }
    await another()
    const { answer, ways } = await meanwhile(another, attempt)
    expect(ways).toHaveLength(4)
    expect(answer.searchParams.get('code')).toEqual(expect.any(String))
  })

  it('comes back from the third of them with the longest state that /authorize takes', async () => {
    const asks = async (length: number) => {
      const params = { state: '"'.repeat(length), scope: 'notes.read notes.write' }
      const { status } = await fetch(authorizeUrl(host.url, clientId, pkce().challenge, params), {
        redirect: 'manual',
      })
      return { taken: status === 200, params }
    }
    let [good, bad] = [0, 2000]
    while (bad - good > 1) {
      const middle = Math.floor((good + bad) / 2)
      if ((await asks(middle)).taken) good = middle
      else bad = middle
    }
    const others: Tokens[] = []
    for (let count = 0; count < 3; count++) others.push(await signIn())
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 53003 })
    const another = async () => {
      const tokens = others.pop()
      if (tokens) expect((await call('graph', tokens)).status).toBe(401)
    }
    await another()
    const { params } = await asks(good)
    const { answer, ways } = await meanwhile(another, () => attempt(ada, params))
    expect(ways).toHaveLength(4)
    expect(answer.searchParams.get('code')).toEqual(expect.any(String))
    expect(answer.searchParams.get('state')).toBe(params.state)
  })

  it('is forgotten after a quarter of an hour', async () => {
    const tokens = await signIn()
    entra.requireMfa(ada, true)
    expect((await call('graph', tokens)).status).toBe(401)
    host.advance(901)
    expect((await attempt()).ways).toHaveLength(1)
    expect((await refresh(host.url, tokens)).status).toBe(200)
  })
})

describe('a challenge that cannot be stored', () => {
  const down = { get: false, set: false }
  let entra: Entra
  let host: DownstreamHost
  beforeAll(async () => {
    const memory = memoryStorage()
    const failing = (key: string) => key.startsWith('challenge:')
    const fail = () => {
      // As if each failure had taken a second.
      host.advance(1)
      return Promise.reject(new Error('down'))
    }
    const storage: Storage = {
      get: (key) => (down.get && failing(key) ? fail() : memory.get(key)),
      set: (key, value, ttl) => (down.set && failing(key) ? fail() : memory.set(key, value, ttl)),
      add: memory.add,
      take: memory.take,
    }
    entra = await startEntra()
    host = await startDownstreamHost({ entra, options: { storage } })
  })
  afterAll(async () => {
    await host.close()
    await entra.close()
  })
  afterEach(() => {
    Object.assign(down, { get: false, set: false })
    entra.clearFaults()
    host.logs.length = 0
  })

  it('is told to the client all the same, and to the operator', async () => {
    const tokens = await login(host.url, { user: ada })
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims: mfaClaims })
    down.set = true
    expect((await get(`${host.url}/api/graph`, tokens.access_token)).status).toBe(401)
    expect(host.logs).toContainEqual(
      expect.objectContaining({ endpoint: 'on-behalf-of', reason: 'challenge_not_recorded' }),
    )
    expect((await refresh(host.url, tokens)).status).toBe(200)
  })

  it('is an outage for the login and the refresh that would have to know it', async () => {
    const tokens = await login(host.url, { user: ada })
    down.get = true
    expect((await refresh(host.url, tokens)).status).toBe(503)
    const browser = newBrowser()
    const { challenge } = pkce()
    const url = authorizeUrl(host.url, tokens.clientId, challenge, { login_hint: ada })
    const answer = new URL((await browser.press(await browser.open(url), 'approve')).url)
    expect(answer.searchParams.get('error')).toBe('temporarily_unavailable')
    down.get = false
    expect((await refresh(host.url, tokens)).status).toBe(200)
  })

  it('does not keep from the client what Entra said of it', async () => {
    const tokens = await login(host.url, { user: ada })
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims: mfaClaims })
    expect((await get(`${host.url}/api/graph`, tokens.access_token)).status).toBe(401)
    entra.fault({ at: 'authorize', times: 1 })
    entra.fault({ at: 'authorize', times: 1, error: 65004 })
    down.set = true
    const browser = newBrowser()
    const { challenge } = pkce()
    const url = authorizeUrl(host.url, tokens.clientId, challenge, { login_hint: ada })
    const answer = new URL((await browser.press(await browser.open(url), 'approve')).url)
    expect(answer.searchParams.get('error')).toBe('access_denied')
    expect(host.logs).toContainEqual(
      expect.objectContaining({ endpoint: 'callback', reason: 'challenge_not_recorded' }),
    )
  })
})

describe('a challenge in direct mode', () => {
  let entra: Entra
  let host: DownstreamHost
  beforeAll(async () => {
    entra = await startEntra()
    host = await startDownstreamHost({
      entra,
      direct: true,
      downstream: { graph: [userRead], inbox: [mailRead] },
    })
  })
  afterAll(async () => {
    await host.close()
    await entra.close()
  })

  it('is a 401 with the claims in base64 and the address to take them to, every time', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076, claims: mfaClaims, user: ada })
    for (let round = 0; round < 2; round++) {
      const response = await get(
        `${host.url}/api/graph`,
        await entra.mintAccessToken({ user: ada }),
      )
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe(
        [
          'Bearer error="insufficient_claims"',
          'error_description="Microsoft Entra wants the user to sign in again, with more proof."',
          `claims="${Buffer.from(mfaClaims).toString('base64')}"`,
          `authorization_uri="${entra.url}/${entra.tenant.id}/oauth2/v2.0/authorize"`,
          `resource_metadata="${host.url}/.well-known/oauth-protected-resource/mcp"`,
        ].join(', '),
      )
      expect(response.headers.get('access-control-expose-headers')).toContain('WWW-Authenticate')
    }
    const his = await get(`${host.url}/api/graph`, await entra.mintAccessToken({ user: bob }))
    expect(his.status).toBe(200)
  })

  describe('for consent', () => {
    const description = () =>
      `Nobody has consented to this server using the downstream API. An administrator can: ${entra.url}/${entra.tenant.id}/adminconsent?client_id=${entra.app.clientId}`
    const inbox = async (user: string) =>
      get(`${host.url}/api/inbox`, await entra.mintAccessToken({ user }))

    it('is a 401 with the link for an administrator: a 403 makes no client ask its user', async () => {
      const response = await inbox(bob)
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toBe(
        `Bearer error="invalid_token", error_description="${description()}", resource_metadata="${host.url}/.well-known/oauth-protected-resource/mcp"`,
      )
      expect(await response.json()).toEqual({
        error: 'invalid_token',
        error_description: description(),
      })
    })

    it('is a 403 after three, whatever token comes, and for ten minutes; others are asked all the same', async () => {
      host.advance(600)
      // Until the first answer is there, more have begun.
      const end = entra.fault({ at: 'token', grant: 'on_behalf_of', user: bob, delay: 0.3 })
      const together = await Promise.all(Array.from({ length: 10 }, () => inbox(bob)))
      expect(new Set(together.map(({ status }) => status))).toEqual(new Set([401]))
      end()
      for (let round = 0; round < 2; round++) {
        host.advance(15)
        expect((await inbox(bob)).status).toBe(401)
      }
      const response = await inbox(bob)
      expect(response.status).toBe(403)
      expect(response.headers.get('www-authenticate')).toBeNull()
      expect(await response.json()).toEqual({
        error: 'access_denied',
        error_description: description(),
      })
      expect((await inbox(grace)).status).toBe(401)
      host.advance(540)
      expect((await inbox(bob)).status).toBe(403)
      host.advance(30)
      expect((await inbox(bob)).status).toBe(401)
    })

    it('is over with the consent, at once and with the same token', async () => {
      const token = await entra.mintAccessToken({ user: bob })
      host.advance(600)
      expect((await get(`${host.url}/api/inbox`, token)).status).toBe(401)
      entra.consent(bob, mailRead)
      expect((await get(`${host.url}/api/inbox`, token)).status).toBe(200)
      entra.withdrawConsent(bob, mailRead)
    })
  })

  it.each([
    ['more proof', { error: 50076, claims: mfaClaims }, 'insufficient_claims'],
    ['another login', { error: 50173 }, 'invalid_token'],
  ])(
    'for %s ends in 403 too when the client only asks and comes back',
    async (_for, fault, error) => {
      host.advance(600)
      entra.clearFaults()
      entra.fault({ at: 'token', grant: 'on_behalf_of', user: grace, ...fault })
      const token = await entra.mintAccessToken({ user: grace, expiresIn: 7200 })
      const call = () => get(`${host.url}/api/graph`, token)
      for (let round = 0; round < 3; round++) {
        const response = await call()
        expect(response.status).toBe(401)
        expect(await response.json()).toMatchObject({ error })
        host.advance(10)
      }
      const response = await call()
      expect(response.status).toBe(403)
      expect(await response.json()).toMatchObject({ error: 'access_denied' })
      entra.clearFaults()
    },
  )
})
