/** Mistakes in the app registration, as an operator with the default logger sees them at the first login. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { entraScopes } from 'mcp-entra'
import { defaultLogger, watchConsole } from '../../support/console.js'
import { ada } from '../../support/oauth-client.js'
import {
  approve,
  clientAnswer,
  type ProxyOptions,
  signInAtEntra,
  startProxy,
  startTestEntra,
} from '../../support/proxy.js'

const entra = await startTestEntra()
let seen: ReturnType<typeof watchConsole>
beforeEach(() => {
  seen = watchConsole()
})
afterEach(() => seen.end())

const start = (options: ProxyOptions = {}) => startProxy(entra, { ...options, ...defaultLogger })

/** Signs in at Entra, and opens the callback. @returns what the client hears */
async function signIn(url: string, params: Record<string, string> = {}) {
  const { browser, callback } = await signInAtEntra(url, { params })
  return clientAnswer(await browser.fetchOnce(callback))
}

describe('an error that Entra sends to the callback', () => {
  it('names the scope that the registration lacks (AADSTS650053), once, as a warning', async () => {
    const { clientId } = entra.app
    const { url } = await start({
      scopes: entraScopes({ clientId, required: ['notes.read'], optional: ['notes.misspelt'] }),
    })
    const answer = await signIn(url, { scope: 'notes.misspelt' })
    expect(answer.error).toBe('server_error')
    expect(seen.lines).toEqual([
      {
        level: 'warn',
        message: 'mcp-entra: failure',
        fields: expect.objectContaining({
          endpoint: 'callback',
          reason: 'entra_error',
          codes: [650053],
          hint: expect.stringMatching(/^A scope does not exist on its API.*Expose an API/),
          origin: 'stranger',
        }),
      },
    ])
  })

  it.each([
    ['invalid_resource', 500011, /az ad sp create/],
    ['invalid_client', 65005, /API permissions/],
    ['invalid_request', 50011, /add \{baseUrl\}\/auth\/callback/],
    ['access_denied', 650056, /Expose an API/],
    ['unauthorized_client', 700016, /compare clientId and tenantId/],
    ['invalid_request', 99999, /Look the AADSTS number up/],
  ])('%s with AADSTS%i comes with what mends it', async (error, code, hint) => {
    const { url } = await start()
    const { browser, state } = await approve(url)
    const query = new URLSearchParams({
      error,
      error_description: `AADSTS${code}: Ada Lovelace may not.\r\nTrace ID: 1`,
      state,
    })
    await browser.fetchOnce(`${url}/auth/callback?${query}`)
    expect(seen.lines).toEqual([
      expect.objectContaining({
        level: 'warn',
        fields: expect.objectContaining({ codes: [code], hint: expect.stringMatching(hint) }),
      }),
    ])
    expect(JSON.stringify(seen.lines)).not.toMatch(/Lovelace|may not/)
  })

  it("is no warning when it is the user's own no", async () => {
    const { url } = await start()
    const remove = entra.fault({ at: 'authorize', error: 65004 })
    const answer = await signIn(url)
    remove()
    expect(answer.error).toBe('access_denied')
    expect(seen.lines).toEqual([])
  })

  it('fills no log: ten lines a minute, because the browser brings it', async () => {
    const { url } = await start()
    for (let i = 0; i < 12; i++) {
      const { browser, state } = await approve(url)
      const query = new URLSearchParams({ error: 'invalid_client', state })
      await browser.fetchOnce(`${url}/auth/callback?${query}`)
    }
    expect(seen.lines).toHaveLength(10)
  })
})

describe('a login whose tokens are not what this server needs', () => {
  it('says which setting to change when they are of version 1.0', async () => {
    const old = await startTestEntra({
      tenants: entra.tenants,
      apps: entra.apps.map((app) => ({ ...app, requestedAccessTokenVersion: 1 as const })),
    })
    const { url } = await startProxy(old, defaultLogger)
    const answer = await signIn(url)
    expect(answer).toMatchObject({
      error: 'access_denied',
      error_description: expect.stringContaining('version 1.0'),
    })
    expect(seen.lines).toEqual([
      {
        level: 'error',
        message: 'mcp-entra: failure',
        fields: expect.objectContaining({
          endpoint: 'callback',
          reason: 'misconfigured',
          detail: expect.stringContaining('version 1.0'),
          hint: expect.stringContaining('"requestedAccessTokenVersion": 2'),
        }),
      },
    ])
  })

  it.each([
    ['of another API', { ver: '2.0' }, /must be one app registration/],
    ['of another API and version 1.0', { ver: '1.0' }, /"requestedAccessTokenVersion": 2/],
  ])('says what to compare when the audience is that %s', async (_what, claims, hint) => {
    const { url } = await start()
    const { browser, callback, upstream } = await signInAtEntra(url)
    const nonce = upstream.searchParams.get('nonce') ?? ''
    const body = JSON.stringify({
      token_type: 'Bearer',
      expires_in: 3600,
      scope: `api://${entra.app.clientId}/notes.read`,
      access_token: await entra.mintAccessToken({
        user: ada,
        claims: { ...claims, aud: 'https://contoso.com/another' },
      }),
      id_token: await entra.mintAccessToken({
        user: ada,
        claims: { nonce, aud: entra.app.clientId },
      }),
    })
    const remove = entra.fault({ at: 'token', grant: 'authorization_code', body })
    const answer = clientAnswer(await browser.fetchOnce(callback))
    remove()
    expect(answer.error).toBe('access_denied')
    expect(seen.lines).toEqual([
      {
        level: 'error',
        message: 'mcp-entra: failure',
        fields: expect.objectContaining({
          reason: 'misconfigured',
          detail: expect.stringContaining('audience'),
          hint: expect.stringMatching(hint),
        }),
      },
    ])
  })
})
