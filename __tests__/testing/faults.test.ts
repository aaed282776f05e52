import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'
import {
  aadsts,
  authorize,
  exchange,
  getCode,
  graph,
  redeem,
  redirected,
  refresh,
  refusal,
  signIn,
  token,
} from '../support/emulator-sign-in.js'

let entra: EntraEmulator

beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())
afterEach(() => entra.clearFaults())

const keysUrl = () => `${entra.url}/${entra.tenant.id}/discovery/v2.0/keys`
const daemon = () => token(entra, { grant_type: 'client_credentials', scope: `${graph}/.default` })

describe('a fault', () => {
  it('lasts until it is removed', async () => {
    const remove = entra.fault({ at: 'keys', status: 500 })
    expect((await fetch(keysUrl())).status).toBe(500)
    expect((await fetch(keysUrl())).status).toBe(500)
    remove()
    expect((await fetch(keysUrl())).status).toBe(200)
  })

  it('or lasts as often as it was ordered', async () => {
    entra.fault({ at: 'keys', status: 503, times: 2 })
    const statuses = []
    for (let n = 0; n < 3; n++) statuses.push((await fetch(keysUrl())).status)
    expect(statuses).toEqual([503, 503, 200])
  })

  it('hits its endpoint only', async () => {
    entra.fault({ at: 'token', status: 500 })
    expect((await fetch(keysUrl())).status).toBe(200)
    entra.fault({ at: 'any', status: 418 })
    expect((await fetch(keysUrl())).status).toBe(418)
    expect((await fetch(`${entra.url}/`)).status).toBe(200)
  })

  it('hits its grant only', async () => {
    const { access_token, refresh_token } = await signIn(entra)
    const code = await getCode(entra)
    const hit = async (grant: 'authorization_code' | 'refresh_token' | 'on_behalf_of') => {
      const remove = entra.fault({ at: 'token', grant, error: 50196 })
      const answers = [
        await redeem(entra, code, { redirect_uri: 'x' }),
        await refresh(entra, refresh_token),
        await exchange(entra, access_token),
        await daemon(),
      ]
      remove()
      return answers.map((answer) => refusal(answer).code === 50196)
    }
    expect(await hit('authorization_code')).toEqual([true, false, false, false])
    expect(await hit('refresh_token')).toEqual([false, true, false, false])
    expect(await hit('on_behalf_of')).toEqual([false, false, true, false])
  })

  it('hits its user only, whatever stands for the user', async () => {
    const ada = await signIn(entra)
    const bob = await signIn(entra, { login_hint: 'bob@contoso.example' })
    const bobsCode = await getCode(entra, { login_hint: 'bob@contoso.example' })
    const graphToken = (await exchange(entra, bob.access_token)).body.access_token
    const me = () =>
      fetch(`${entra.graphUrl}/me`, { headers: { authorization: `Bearer ${graphToken}` } })
    entra.fault({ at: 'any', user: entra.user('bob@contoso.example').oid, error: 50076 })
    expect(refusal(await redeem(entra, bobsCode))).toMatchObject({ code: 50076 })
    expect(refusal(await refresh(entra, bob.refresh_token))).toMatchObject({ code: 50076 })
    expect(refusal(await exchange(entra, bob.access_token))).toMatchObject({ code: 50076 })
    expect((await me()).status).toBe(401)
    expect((await refresh(entra, ada.refresh_token)).status).toBe(200)
    expect((await exchange(entra, ada.access_token)).status).toBe(200)
  })

  it('for a user who does not exist is a mistake', () => {
    expect(() => entra.fault({ at: 'any', user: 'zoe@contoso.example', hang: true })).toThrow(
      'No such user: "zoe@contoso.example". There are: ada@contoso.example, bob@contoso.example',
    )
  })
})

describe('a fault may be', () => {
  it('an AADSTS error with suberror and claims', async () => {
    const claims = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'
    entra.fault({ at: 'token', error: 53003, suberror: 'message_only', claims })
    const { status, body } = await daemon()
    expect(status).toBe(400)
    expect(body).toMatchObject({
      error: 'invalid_grant',
      suberror: 'message_only',
      claims,
      error_codes: [53003],
      error_description: expect.stringContaining('AADSTS53003: '),
    })
  })

  it('an error that travels by redirect at /authorize', async () => {
    entra.fault({ at: 'authorize', error: 53003 })
    const { error_description, state } = redirected(await authorize(entra))
    expect(aadsts(error_description)).toBe(53003)
    expect(state).toBe('the state')
  })

  it('a broken credential: 401 invalid_client', async () => {
    entra.fault({ at: 'token', error: 7000222 })
    expect(refusal(await daemon())).toEqual({ status: 401, error: 'invalid_client', code: 7000222 })
  })

  it('throttling, with Retry-After in seconds', async () => {
    entra.fault({ at: 'token', retryAfter: 7 })
    const answer = await daemon()
    expect(refusal(answer)).toEqual({ status: 429, error: 'temporarily_unavailable', code: 90055 })
    expect(answer.headers.get('retry-after')).toBe('7')
  })

  it("a gateway's page", async () => {
    entra.fault({ at: 'token', html: true })
    const response = await fetch(`${entra.url}/common/oauth2/v2.0/token`, { method: 'POST' })
    expect(response.status).toBe(502)
    expect(response.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(await response.text()).toContain('502 Bad Gateway')
  })

  it('any body, with any status', async () => {
    entra.fault({ at: 'keys', body: '{"keys":', times: 1 })
    entra.fault({ at: 'keys', body: '', status: 204, times: 1 })
    expect(await (await fetch(keysUrl())).text()).toBe('{"keys":')
    expect((await fetch(keysUrl())).status).toBe(204)
  })

  it('silence', async () => {
    entra.clearRequests()
    entra.fault({ at: 'keys', hang: true })
    await expect(fetch(keysUrl(), { signal: AbortSignal.timeout(100) })).rejects.toThrow('timeout')
    const [request] = entra.requestsTo('keys')
    expect(request).toMatchObject({ answered: false })
    expect(request).not.toHaveProperty('status')
  })

  it('a broken connection', async () => {
    entra.fault({ at: 'keys', reset: true })
    await expect(fetch(keysUrl())).rejects.toThrow('fetch failed')
    expect(entra.requestsTo('keys').at(-1)).toMatchObject({ answered: false })
  })

  it('a delay, after which the usual answer follows', async () => {
    entra.fault({ at: 'keys', delay: 0.2 })
    const start = performance.now()
    expect((await fetch(keysUrl())).status).toBe(200)
    expect(performance.now() - start).toBeGreaterThanOrEqual(195)
  })

  it("trouble at Graph, in Graph's own form", async () => {
    const { body } = await exchange(entra, await entra.mintAccessToken())
    const headers = { authorization: `Bearer ${body.access_token}` }
    const me = () => fetch(`${entra.graphUrl}/me`, { headers })
    entra.fault({ at: 'graph', retryAfter: 3, times: 1 })
    const throttled = await me()
    expect(throttled.status).toBe(429)
    expect(await throttled.json()).toMatchObject({ error: { code: 'TooManyRequests' } })
    const claims = '{"access_token":{"nbf":{"essential":true,"value":"1"}}}'
    entra.fault({ at: 'graph', error: 50173, claims, times: 1 })
    const revoked = await me()
    expect(revoked.status).toBe(401)
    expect(revoked.headers.get('www-authenticate')).toContain(
      `error="insufficient_claims", claims="${Buffer.from(claims).toString('base64')}"`,
    )
    entra.fault({ at: 'graph', status: 503, times: 1 })
    expect((await me()).status).toBe(503)
    expect((await me()).status).toBe(200)
  })
})
