import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { entraAuthority } from '../../lib/entra/authority.js'
import { type ClientCredential, clientSecret } from '../../lib/entra/credentials.js'
import { EntraError, UpstreamOutage } from '../../lib/entra/errors.js'
import { type TokenEndpoint, tokenEndpoint } from '../../lib/entra/token-endpoint.js'
import {
  type Answer,
  clientId,
  otherTenantId,
  outcome,
  startUpstream,
  tenantId,
  type Upstream,
} from '../support/entra.js'
import { withShortDeadlines } from '../support/short-deadlines.js'

const scopes = [`api://${clientId}/notes.read`, 'openid', 'profile', 'offline_access']
const guid = /^[0-9a-f-]{36}$/
const good = {
  token_type: 'Bearer',
  access_token: 'at-1',
  refresh_token: 'rt-2',
  // MSAL would stumble over it; what it is worth is for the verifier to say.
  id_token: 'no.jwt',
  expires_in: 3599,
  ext_expires_in: 3599,
  scope: `api://${clientId}/notes.read`,
}

let entra: Upstream
let answers: Answer[]

beforeEach(async () => {
  answers = []
  entra = await startUpstream(() => answers.shift() ?? { body: good })
})
afterEach(() => entra.close())

function endpoint(
  options: { credential?: ClientCredential; timeout?: number; tenant?: string } = {},
): TokenEndpoint {
  const { credential = clientSecret('s3cr~t &+='), timeout = 5, tenant = tenantId } = options
  return tokenEndpoint({
    authority: entraAuthority({ host: entra.url, tenantId: tenant }),
    clientId,
    credential,
    timeout,
  })
}

const code = {
  code: 'c0de',
  redirectUri: 'https://mcp.example/auth/callback',
  codeVerifier: 'v'.repeat(43),
  scopes,
}
const refresh = { refreshToken: 'rt-1', scopes }
const obo = {
  assertion: 'a.b.c',
  scopes: ['https://graph.microsoft.com/User.Read'],
  tenant: tenantId,
}

/** The form without what MSAL adds of its own: telemetry, and optional id token claims. */
function form(index = 0): Record<string, string> {
  const all = Object.fromEntries(entra.requests[index]?.form ?? [])
  return Object.fromEntries(
    Object.entries(all).filter(
      ([name, value]) =>
        !/^x-|^client_info$|^client-request-id$/.test(name) && !value.includes('signin_state'),
    ),
  )
}

const kinds: [string, (at: TokenEndpoint) => Promise<unknown>][] = [
  ['redeemCode', (at) => at.redeemCode(code)],
  ['refresh', (at) => at.refresh(refresh)],
  ['onBehalfOf', (at) => at.onBehalfOf(obo)],
]

describe('the requests', () => {
  it('redeems a code with PKCE, the redirect URI, the scopes and the secret', async () => {
    await endpoint().redeemCode(code)
    expect(entra.requests).toHaveLength(1)
    expect(entra.requests[0]).toMatchObject({ method: 'POST' })
    expect(entra.requests[0]?.path.split('?')[0]).toBe(`/${tenantId}/oauth2/v2.0/token`)
    expect(entra.requests[0]?.headers['content-type']).toMatch(
      /^application\/x-www-form-urlencoded/,
    )
    expect(entra.requests[0]?.headers).not.toHaveProperty('origin')
    expect(form()).toEqual({
      client_id: clientId,
      client_secret: 's3cr~t &+=',
      grant_type: 'authorization_code',
      code: 'c0de',
      redirect_uri: code.redirectUri,
      code_verifier: code.codeVerifier,
      scope: scopes.join(' '),
    })
  })

  it('refreshes with the scopes, which Entra needs on this leg too (AADSTS90009)', async () => {
    await endpoint().refresh(refresh)
    expect(form()).toEqual({
      client_id: clientId,
      client_secret: 's3cr~t &+=',
      grant_type: 'refresh_token',
      refresh_token: 'rt-1',
      scope: scopes.join(' '),
    })
  })

  it('exchanges on behalf of a user, at the tenant of the user', async () => {
    await endpoint().onBehalfOf({ ...obo, tenant: otherTenantId })
    expect(entra.requests[0]?.path.split('?')[0]).toBe(`/${otherTenantId}/oauth2/v2.0/token`)
    expect(form()).toEqual({
      client_id: clientId,
      client_secret: 's3cr~t &+=',
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      requested_token_use: 'on_behalf_of',
      assertion: 'a.b.c',
      scope: expect.stringMatching(/^https:\/\/graph\.microsoft\.com\/User\.Read/),
    })
  })

  it('sends the claims of a challenge with the exchange', async () => {
    const claims = '{"access_token":{"capolids":{"essential":true,"values":["1"]}}}'
    await endpoint().onBehalfOf({ ...obo, claims })
    const sent = JSON.parse(entra.requests[0]?.form.get('claims') ?? '')
    expect(sent.access_token).toEqual(JSON.parse(claims).access_token)
  })

  it('goes to the tenant it is told, for codes and refreshes too', async () => {
    const many = endpoint({ tenant: 'organizations' })
    await many.redeemCode({ ...code, tenant: otherTenantId })
    await many.refresh({ ...refresh, tenant: otherTenantId })
    await many.refresh(refresh)
    const paths = entra.requests.map(({ path }) => path.split('/')[1])
    expect(paths).toEqual([otherTenantId, otherTenantId, 'organizations'])
  })

  it('never sends resource (AADSTS9010010), and discovers nothing', async () => {
    for (const [, ask] of kinds) await ask(endpoint())
    expect(entra.requests).toHaveLength(3)
    for (const { path, form: sent } of entra.requests) {
      expect(path).toContain('/oauth2/v2.0/token')
      expect(sent.has('resource')).toBe(false)
      expect(sent.get('scope')).toBeTruthy()
    }
  })

  it('asks the credential for each request, and sends an assertion as one', async () => {
    const asked: unknown[] = []
    const credential: ClientCredential = async (context) => {
      asked.push(context)
      return { assertion: `signed.jwt.${asked.length}` }
    }
    const at = endpoint({ credential })
    await at.refresh(refresh)
    await at.onBehalfOf({ ...obo, tenant: otherTenantId })
    expect(form(0)).toMatchObject({
      client_assertion: 'signed.jwt.1',
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    })
    expect(form(1)).toMatchObject({ client_assertion: 'signed.jwt.2' })
    expect(form(1)).not.toHaveProperty('client_secret')
    expect(asked).toEqual(
      [tenantId, otherTenantId].map((tenant) => ({
        clientId,
        tokenEndpoint: `${entra.url}/${tenant}/oauth2/v2.0/token`,
        exchangeAudience: 'api://AzureADTokenExchange',
      })),
    )
  })

  it('keeps nothing between two exchanges: the same question is asked again', async () => {
    const at = endpoint()
    await at.onBehalfOf(obo)
    await at.onBehalfOf(obo)
    expect(entra.requests).toHaveLength(2)
  })
})

describe.each(kinds)('the answer to %s', (name, ask) => {
  it('is read whole, refresh token included', async () => {
    expect(await ask(endpoint())).toEqual({
      accessToken: 'at-1',
      expiresIn: 3599,
      refreshToken: 'rt-2',
      idToken: 'no.jwt',
      scope: good.scope,
      trace: { correlationId: expect.stringMatching(guid) },
    })
  })

  it.each([
    ['3600', 3600],
    [3600.9, 3600],
    [1, 1],
  ])('may say expires_in %j', async (expires_in, seconds) => {
    answers = [{ body: { access_token: 'at', expires_in } }]
    expect(await ask(endpoint())).toMatchObject({ accessToken: 'at', expiresIn: seconds })
  })

  it.each<[string, Answer]>([
    ['without a token', { body: { expires_in: 3600, refresh_token: 'rt' } }],
    ['with an empty token', { body: { ...good, access_token: '' } }],
    ['with a token that is no text', { body: { ...good, access_token: {} } }],
    ['without a lifetime', { body: { ...good, expires_in: undefined } }],
    ['with a lifetime of 0', { body: { ...good, expires_in: 0 } }],
    ['with a lifetime that is no number', { body: { ...good, expires_in: 'soon' } }],
    ['that is a page', { body: '<html>' }],
    ['that is empty', { body: '' }],
    ['that is null', { body: 'null' }],
  ])('is an outage when it is a success %s', async (_what, answer) => {
    answers = [answer]
    const error = await outcome(() => ask(endpoint()))
    expect(error).toBeInstanceOf(UpstreamOutage)
    expect(error).toMatchObject({ status: 200, correlationId: expect.stringMatching(guid) })
    expect(entra.requests).toHaveLength(1)
  })

  it('keeps of an odd success what is good', async () => {
    answers = [
      { body: { access_token: 'at', expires_in: 60, refresh_token: '', id_token: 7, scope: [] } },
    ]
    const trace = { correlationId: expect.stringMatching(guid) }
    expect(await ask(endpoint())).toEqual({ accessToken: 'at', expiresIn: 60, trace })
  })

  it("is told in Entra's codes when it is a refusal", async () => {
    const claims = '{"access_token":{"nbf":{"essential":true}}}'
    answers = [
      {
        status: 400,
        body: {
          error: 'invalid_grant',
          suberror: 'basic_action',
          error_codes: [50076],
          claims,
          correlation_id: 'c-1',
          trace_id: 't-1',
          error_description: 'AADSTS50076: ada@contoso.com must use multi-factor authentication',
        },
      },
    ]
    const error = await outcome(() => ask(endpoint()))
    expect(error).toBeInstanceOf(EntraError)
    expect(error).toMatchObject({
      kind: 'interaction_required',
      codes: [50076],
      claims,
      status: 400,
      correlationId: 'c-1',
      traceId: 't-1',
    })
    expect(String(error)).not.toContain('ada')
    expect(entra.requests).toHaveLength(1)
  })

  it('tells that our own credential is wrong, with the hint', async () => {
    answers = [{ status: 401, body: { error: 'invalid_client', error_codes: [7000215] } }]
    expect(await outcome(() => ask(endpoint()))).toMatchObject({
      kind: 'misconfigured',
      hint: expect.stringContaining('Certificates & secrets'),
    })
  })

  it('is an outage with its status and correlation id when a gateway answers with a page', async () => {
    answers = Array(2).fill({ status: 502, body: '<html>Bad Gateway</html>' })
    const error = await outcome(() => ask(endpoint()))
    const id = new URL(entra.requests.at(-1)?.path ?? '', entra.url).searchParams.get(
      'client-request-id',
    )
    expect(error).toMatchObject({ kind: 'unavailable', status: 502, correlationId: id })
    expect(id).toMatch(guid)
  })

  it('is asked for once more after a 5xx or a reset, unless it was for a code', async () => {
    for (const trouble of [{ status: 503 }, 'reset'] as const) {
      answers = [trouble]
      const before = entra.requests.length
      const result = await outcome(() => ask(endpoint()))
      if (name === 'redeemCode') {
        expect(result).toMatchObject({ kind: 'unavailable' })
        expect(entra.requests).toHaveLength(before + 1)
      } else {
        expect(result).toMatchObject({ accessToken: 'at-1' })
        expect(entra.requests).toHaveLength(before + 2)
      }
    }
  })

  it('is asked for no third time', async () => {
    answers = Array(5).fill({ status: 500 })
    expect(await outcome(() => ask(endpoint()))).toMatchObject({ status: 500 })
    expect(entra.requests).toHaveLength(name === 'redeemCode' ? 1 : 2)
  })

  it.each([
    [429, { 'retry-after': '7' }, 7],
    [503, { 'retry-after': '9' }, 9],
    [429, {}, undefined],
  ])(
    'is not asked for again after %s with %j: the wait is told',
    async (status, headers, retryAfter) => {
      answers = [{ status, headers: headers as Record<string, string> }]
      expect(await outcome(() => ask(endpoint()))).toMatchObject({
        kind: 'unavailable',
        status,
        retryAfter,
      })
      expect(entra.requests).toHaveLength(1)
    },
  )

  it.each(['hang', 'stall'] as const)(
    'is given up at the deadline when Entra lets it %s',
    async (how) => {
      answers = [how]
      // So near its end that there is no time for a second try.
      const error = await outcome(() => ask(endpoint({ timeout: 0.09 })))
      expect(error).toBeInstanceOf(UpstreamOutage)
      expect((error as Error).message).toMatch(/did not answer within 0\.1 s$/)
      expect(entra.requests).toHaveLength(1)
    },
  )

  it('has no second try that would end after the deadline', async () => {
    answers = [{ status: 503 }, 'hang']
    await outcome(() => ask(endpoint({ timeout: 0.2 })))
    expect(entra.requests).toHaveLength(1)
  })

  it('gives a second try only what is left of the time', async () => {
    answers = [{ status: 503 }, 'hang']
    const { result, deadlines } = await withShortDeadlines(() =>
      outcome(() => ask(endpoint({ timeout: 10 }))),
    )
    expect(result).toMatchObject({ kind: 'unavailable' })
    const [first = 0, second = first] = deadlines
    expect(first).toBeLessThanOrEqual(10)
    // Only what is left after a pause of 50 to 150 milliseconds; a code is not tried again.
    if (name === 'redeemCode') expect(deadlines).toHaveLength(1)
    else expect(first - second).toBeGreaterThan(0.045)
  })

  it('is asked for with another assertion only within the time for the first', async () => {
    const refusal = { error: 'invalid_client', error_codes: [700024] }
    answers = [{ status: 401, body: refusal }, 'hang', 'hang']
    let count = 0
    const credential: ClientCredential = async () => {
      // What the first assertion has cost is missing from the time for the second.
      if (count === 0) await new Promise((resolve) => setTimeout(resolve, 20))
      return { assertion: `a.b.${++count}` }
    }
    const { result, deadlines } = await withShortDeadlines(() =>
      outcome(() => ask(endpoint({ credential, timeout: 10 }))),
    )
    expect(result).toMatchObject({ kind: 'unavailable' })
    expect(Math.max(...deadlines)).toBeLessThan(9.99)
    // A silence so much shorter than the deadline is tried once more, where it was not for a code.
    expect(deadlines).toHaveLength(name === 'redeemCode' ? 2 : 3)
  })

  it('is not asked for again with the secret that Entra calls outdated', async () => {
    answers = [{ status: 401, body: { error: 'invalid_client', error_codes: [700024] } }]
    expect(await outcome(() => ask(endpoint()))).toMatchObject({ codes: [700024] })
    expect(entra.requests).toHaveLength(1)
  })

  it('is an outage when there is no credential to be had, now or in time', async () => {
    const failing: [ClientCredential, RegExp][] = [
      [() => Promise.reject(new Error('no managed identity here')), /credential failed: /],
      [
        () => {
          throw new Error('at once')
        },
        /credential failed: /,
      ],
      [() => new Promise(() => {}), /no client credential within 0\.05 s/],
    ]
    for (const [credential, words] of failing) {
      const error = await outcome(() => ask(endpoint({ credential, timeout: 0.05 })))
      expect(error).toBeInstanceOf(UpstreamOutage)
      expect((error as Error).message).toMatch(words)
    }
    expect(entra.requests).toHaveLength(0)
  })

  it('leaves an EntraError of the credential as it is', async () => {
    const own = new EntraError('misconfigured', 'the certificate has expired')
    const error = await outcome(() => ask(endpoint({ credential: () => Promise.reject(own) })))
    expect(error).toBe(own)
  })

  it('is a misconfiguration when MSAL refuses to ask, and its words stay a cause', async () => {
    const at = endpoint()
    const error = await outcome(() => at.onBehalfOf({ ...obo, scopes: [null as never] }))
    expect(error).toBeInstanceOf(EntraError)
    expect(error).toMatchObject({ kind: 'misconfigured', message: 'MSAL did not make the request' })
    expect((error as Error).cause).toBeDefined()
    expect(entra.requests).toHaveLength(0)
  })

  it.each([[{ secret: '' }], [{ assertion: '' }]])(
    'is a misconfiguration when the credential gives nothing: %j',
    async (proof) => {
      const error = await outcome(() => ask(endpoint({ credential: () => proof })))
      expect(error).toMatchObject({ kind: 'misconfigured' })
      expect(entra.requests).toHaveLength(0)
    },
  )
})

describe('beside each other', () => {
  it('one throttled user delays nobody else', async () => {
    const at = endpoint()
    entra.answer = ({ form: sent }) =>
      sent.get('assertion') === 'bad'
        ? { status: 429, headers: { 'retry-after': '60' } }
        : { body: good }
    expect(await outcome(() => at.onBehalfOf({ ...obo, assertion: 'bad' }))).toMatchObject({
      retryAfter: 60,
    })
    expect(await at.onBehalfOf({ ...obo, assertion: 'good' })).toMatchObject({
      accessToken: 'at-1',
    })
  })

  it('fifty at once all get their own answers', async () => {
    entra.answer = ({ form: sent }) => ({
      body: { access_token: `for ${sent.get('assertion')}`, expires_in: 60 },
    })
    const at = endpoint()
    const names = Array.from({ length: 50 }, (_item, index) => `user ${index}`)
    const tokens = await Promise.all(names.map((assertion) => at.onBehalfOf({ ...obo, assertion })))
    expect(tokens.map(({ accessToken }) => accessToken)).toEqual(names.map((user) => `for ${user}`))
  })

  it('waits ten seconds when nothing is said', async () => {
    const authority = entraAuthority({ host: entra.url, tenantId })
    const at = tokenEndpoint({ authority, clientId, credential: clientSecret('s') })
    expect(await at.refresh(refresh)).toMatchObject({ accessToken: 'at-1' })
  })
})
