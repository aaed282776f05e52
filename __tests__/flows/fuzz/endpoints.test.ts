/** Junk in queries and forms, half of it well-formed: no 5xx, and no way out to a stranger's address. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { startDocumentServer } from '../../support/client-documents.js'
import { bounded } from '../../support/fuzz.js'
import { redirectUri, register } from '../../support/oauth-client.js'
import { approve, send, startProxy, startTestEntra, type TestProxy } from '../../support/proxy.js'

let proxy: TestProxy
let entraUrl: string
let clientId: string
let documentUrl: string
let state: string
let cookies: string
beforeAll(async () => {
  const entra = await startTestEntra()
  entraUrl = entra.url
  const documents = await startDocumentServer()
  documentUrl = `${documents.origin}/client.json`
  // Other hosts would be an outage on a machine without DNS, and no answer that is the same everywhere.
  const clientMetadata = { ...documents.options, allowedHosts: [documents.host] }
  proxy = await startProxy(entra, { clientMetadata })
  clientId = await register(proxy.url)
  const login = await approve(proxy.url, { clientId })
  state = login.state
  cookies = await login.browser.jar.getCookieString(proxy.url)
})

const names = [
  'client_id client_secret redirect_uri response_type response_mode scope state resource prompt',
  'login_hint domain_hint code_challenge code_challenge_method code code_verifier grant_type',
  'refresh_token token token_type_hint error error_description iss request request_uri form action',
  'client_assertion client_assertion_type __proto__ constructor toString',
]
  .join(' ')
  .split(' ')
const usual = [
  'code S256 plain query none login consent approve deny refresh_token authorization_code',
  'notes.read notes.write openid access_denied server_error __proto__',
  'urn:ietf:params:oauth:client-assertion-type:jwt-bearer https://evil.example/cb',
  'eyJhbGciOiJub25lIn0.e30. https://evil.example/client.json',
]
  .join(' ')
  .split(' ')
/** Filled in when it is used: what is known only once the servers run. */
const live = ['{client}', '{document}', '{state}', '{redirect}', '{resource}', '{challenge}']
const value = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...live) },
  { weight: 4, arbitrary: fc.constantFrom(...usual) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  { weight: 1, arbitrary: fc.constantFrom('', '\r\nSet-Cookie: a=b', '%00', 'x'.repeat(5000)) },
)
const pairs = fc.array(fc.tuple(fc.constantFrom(...names), value), { maxLength: 9 })
/** A good request with some of it spoilt gets further than junk alone. */
const good: [string, string][] = [
  ['client_id', '{client}'],
  ['redirect_uri', '{redirect}'],
  ['response_type', 'code'],
  ['code_challenge', '{challenge}'],
  ['code_challenge_method', 'S256'],
  ['state', '{state}'],
]
const requests = fc.oneof(
  pairs,
  fc.tuple(fc.shuffledSubarray(good, { minLength: 3 }), pairs).map(([some, more]) => {
    const spoilt = new Set(more.map(([name]) => name))
    return [...some.filter(([name]) => !spoilt.has(name)), ...more]
  }),
)

function query(list: readonly (readonly [string, string])[]): string {
  const known: Record<string, string> = {
    '{client}': clientId,
    '{document}': documentUrl,
    '{state}': state,
    '{redirect}': redirectUri,
    '{resource}': `${proxy.url}/mcp`,
    '{challenge}': 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  }
  return new URLSearchParams(
    list.map(([name, text]): [string, string] => [name, known[text] ?? text]),
  ).toString()
}

/** Anything but an error of ours; and a redirect goes to the client, or to Entra, and nowhere else. */
function expectSane({ status, headers }: Awaited<ReturnType<typeof send>>): void {
  expect(status).toBeGreaterThanOrEqual(200)
  expect(status).toBeLessThan(500)
  const { location } = headers
  if (location === undefined) return
  expect(location.startsWith(redirectUri) || location.startsWith(`${entraUrl}/`)).toBe(true)
  expect(headers['set-cookie']?.join() ?? '').not.toMatch(/(?:^|,)a=b/)
}

describe('junk', () => {
  it.each(['/authorize', '/auth/callback', '/jwks', '/.well-known/oauth-authorization-server'])(
    'in the query of %s is never an error of ours',
    async (path) => {
      await fc.assert(
        fc.asyncProperty(requests, fc.boolean(), async (list, known) => {
          // A URL of 16 kB and more is Node's own to refuse.
          const url = `${proxy.url}${path}?${query(list)}`.slice(0, 12_000)
          expectSane(await send(url, { headers: known ? { cookie: cookies } : {} }))
        }),
        bounded,
      )
      expect(proxy.logs.filter(({ endpoint, codes }) => endpoint === undefined && codes)).toEqual(
        [],
      )
    },
  )

  it.each(['/token', '/revoke', '/consent'])(
    'in a form for %s is never an error of ours',
    async (path) => {
      const authorization = fc.option(
        fc.oneof(
          fc.base64String(),
          fc.constantFrom('{client}', ':', 'a:b', '%zz:%').map((text) => btoa(text)),
        ),
        { nil: undefined },
      )
      await fc.assert(
        fc.asyncProperty(requests, authorization, async (list, basic) => {
          const headers = {
            'content-type': 'application/x-www-form-urlencoded',
            cookie: cookies,
            ...(basic !== undefined && { authorization: `Basic ${basic}` }),
          }
          expectSane(await send(proxy.url + path, { method: 'POST', headers, body: query(list) }))
        }),
        bounded,
      )
    },
  )

  it('in a registration is never an error of ours', async () => {
    const members = [
      'redirect_uris token_endpoint_auth_method grant_types response_types application_type scope',
      'client_name client_uri jwks jwks_uri __proto__ constructor toJSON client_id',
    ]
      .join(' ')
      .split(' ')
    const body = fc.oneof(
      fc.json(),
      fc
        .dictionary(fc.constantFrom(...members), fc.jsonValue({ maxDepth: 2 }))
        .map((value) => JSON.stringify({ redirect_uris: [redirectUri], ...value })),
    )
    await fc.assert(
      fc.asyncProperty(body, async (text) => {
        const headers = { 'content-type': 'application/json' }
        expectSane(await send(`${proxy.url}/register`, { method: 'POST', headers, body: text }))
      }),
      bounded,
    )
  })
})
