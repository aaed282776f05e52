/** The emulator's Graph under continuous access evaluation. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { type EntraEmulator, startEntra } from 'mcp-entra/testing'

const ada = 'ada@contoso.example'
const bob = 'bob@contoso.example'
const userRead = 'https://graph.microsoft.com/User.Read'
const nbf = { essential: true, value: '1795000000' }
const wanted = JSON.stringify({ access_token: { nbf } })

let entra: EntraEmulator
beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())
afterEach(() => entra.challengeGraph(ada, undefined))

async function exchanged(user: string, claims?: object): Promise<string> {
  const response = await fetch(`${entra.url}/${entra.tenant.id}/oauth2/v2.0/token`, {
    method: 'POST',
    body: new URLSearchParams({
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      requested_token_use: 'on_behalf_of',
      client_id: entra.app.clientId,
      client_secret: entra.app.secrets[0] ?? '',
      assertion: await entra.mintAccessToken({ user }),
      scope: userRead,
      ...(claims && { claims: JSON.stringify(claims) }),
    }),
  })
  return ((await response.json()) as { access_token: string }).access_token
}

const me = (token: string) =>
  fetch(`${entra.graphUrl}/me`, { headers: { authorization: `Bearer ${token}` } })

describe('challengeGraph', () => {
  it('answers 401 insufficient_claims with the claims in base64, to this user alone', async () => {
    const [hers, his] = [await exchanged(ada), await exchanged(bob)]
    entra.challengeGraph(ada, wanted)
    const response = await me(hers)
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toBe(
      [
        'Bearer realm=""',
        `authorization_uri="${entra.url}/common/oauth2/v2.0/authorize"`,
        'client_id="00000003-0000-0000-c000-000000000000"',
        'error="insufficient_claims"',
        `claims="${Buffer.from(wanted).toString('base64')}"`,
      ].join(', '),
    )
    expect((await response.json()) as object).toMatchObject({
      error: { code: 'InvalidAuthenticationToken' },
    })
    expect((await me(his)).status).toBe(200)
  })

  it('takes a token that was issued for these claims, others beside them or not', async () => {
    entra.challengeGraph(ada, wanted)
    const more = { access_token: { nbf, xms_cc: { values: ['cp1'] } }, id_token: {} }
    expect((await me(await exchanged(ada, { access_token: { nbf } }))).status).toBe(200)
    expect((await me(await exchanged(ada, more))).status).toBe(200)
  })

  it('takes none that was issued for less, for something else, or for the challenge before', async () => {
    entra.challengeGraph(ada, wanted)
    const other = { access_token: { nbf: { ...nbf, value: '1' } } }
    for (const claims of [undefined, {}, other]) {
      expect((await me(await exchanged(ada, claims))).status).toBe(401)
    }
    const good = await exchanged(ada, { access_token: { nbf } })
    entra.challengeGraph(ada, wanted)
    expect((await me(good)).status).toBe(401)
  })

  it('is over when it is taken back', async () => {
    const token = await exchanged(ada)
    entra.challengeGraph(ada, wanted)
    entra.challengeGraph(ada, undefined)
    expect((await me(token)).status).toBe(200)
  })
})
