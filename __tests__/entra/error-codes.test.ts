/** The rows, walked: Entra refuses each leg with each number. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { clientSecret } from '../../lib/entra/credentials.js'
import { outcomeByCode } from '../../lib/entra/error-codes.js'
import { EntraError } from '../../lib/entra/errors.js'
import type { TokenEndpoint } from '../../lib/entra/token-endpoint.js'
import { loginOutcome, refreshOutcome, upstreamDetail } from '../../lib/login/upstream-outcome.js'
import type { EntraEmulator } from '../../lib/testing/index.js'
import { aadstsRows, outcomes } from '../support/aadsts-rows.js'
import { outcome } from '../support/entra.js'
import { clientId, endpointOf, graph, legs, startApp, tenant } from '../support/legs.js'

let entra: EntraEmulator
let endpoint: TokenEndpoint
let assertion: string

beforeAll(async () => {
  entra = await startApp({ secrets: ['s'] })
  endpoint = endpointOf(entra, clientSecret('s'))
  assertion = await entra.mintAccessToken()
})
afterAll(() => entra.close())
beforeEach(() => {
  entra.clearFaults()
  entra.clearRequests()
})

const scopes = [`api://${clientId}/notes.read`, 'offline_access']
const ask = {
  authorization_code: () =>
    endpoint.redeemCode({
      code: 'c',
      redirectUri: 'https://mcp.example/auth/callback',
      codeVerifier: 'v'.repeat(43),
      scopes,
    }),
  refresh_token: () => endpoint.refresh({ refreshToken: 'rt', scopes }),
  on_behalf_of: () => endpoint.onBehalfOf({ assertion, scopes: [graph], tenant }),
}

async function refusedWith(code: number, leg: (typeof legs)[number]): Promise<EntraError> {
  entra.fault({ at: 'token', error: code })
  const error = await outcome(ask[leg])
  if (error instanceof EntraError) return error
  throw new Error('not refused')
}

describe.each(legs)('refused at %s', (leg) => {
  const numbers = aadstsRows.flatMap((row) => row.codes.map((code) => [code, row] as const))

  it.each(numbers)('with AADSTS%i', async (code, { kind, hint }) => {
    const error = await refusedWith(code, leg)
    expect(error).toMatchObject({ kind, codes: [code] })

    const { login, refresh } = outcomes[kind]
    expect(loginOutcome(error).code).toBe(login)
    expect(refreshOutcome(error)).toMatchObject({ code: refresh.error, status: refresh.status })
    expect(refreshOutcome(error).retryAfter !== undefined).toBe(refresh.status === 503)

    const operator = upstreamDetail(error)
    if (hint) expect(operator.hint).toMatch(hint)
    else expect(operator.hint).toBeUndefined()
    const request = entra.requestsTo('token').at(-1)
    expect(operator).toMatchObject({
      reason: kind,
      codes: [code],
      correlationId: request?.params['client-request-id'],
      traceId: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
    // Entra's words name users, tenants and apps: neither clients nor logs get them.
    for (const told of [loginOutcome(error), refreshOutcome(error)]) {
      expect(JSON.stringify([told.description, operator, error])).not.toMatch(/Ordered by a test/)
      expect(told.description).not.toMatch(/AADSTS|invalid_client/)
    }
  })
})

describe('the rows', () => {
  it('are all the numbers the code knows, and no others', () => {
    const listed = aadstsRows.flatMap(({ codes }) => codes)
    expect(new Set(listed).size).toBe(listed.length)
    expect([...outcomeByCode.keys()].sort()).toEqual([...listed].sort())
  })

  it("never let Entra's invalid_client through: it is our own credential that failed", () => {
    for (const { login, refresh } of Object.values(outcomes)) {
      expect([login, refresh.error]).not.toContain('invalid_client')
    }
  })
})

describe('Retry-After', () => {
  it.each(['refresh_token', 'on_behalf_of'] as const)(
    'is kept, and not anticipated: %s',
    async (leg) => {
      entra.fault({ at: 'token', retryAfter: 30 })
      expect(await outcome(ask[leg])).toMatchObject({
        kind: 'unavailable',
        status: 429,
        retryAfter: 30,
      })
      expect(entra.requestsTo('token')).toHaveLength(1)
    },
  )

  it('of a loop is minutes, although Entra does not say so', async () => {
    const error = await refusedWith(50196, 'on_behalf_of')
    expect(error).toMatchObject({ kind: 'unavailable', retryAfter: 120 })
    expect(entra.requestsTo('token')).toHaveLength(1)
  })

  it('lasts for no longer than an hour, and is there for outages without one', async () => {
    entra.fault({ at: 'token', retryAfter: 86_400 })
    const error = await outcome(ask.refresh_token)
    expect(refreshOutcome(error as EntraError)).toMatchObject({ status: 503, retryAfter: 3600 })
    entra.clearFaults()
    entra.fault({ at: 'token', html: true })
    const page = await outcome(ask.refresh_token)
    expect(refreshOutcome(page as EntraError)).toMatchObject({ status: 503, retryAfter: 5 })
  })
})

describe('a transient failure', () => {
  it.each([90006, 90024, 90033, 90090, 50033])(
    'with AADSTS%i is tried once more, and the second answer counts',
    async (code) => {
      entra.fault({ at: 'token', error: code, times: 1 })
      expect(await ask.on_behalf_of()).toMatchObject({ accessToken: expect.any(String) })
      expect(entra.requestsTo('token').map(({ status }) => status)).toEqual([503, 200])
    },
  )

  it('is no reason to try a code twice', async () => {
    entra.fault({ at: 'token', error: 90033 })
    await outcome(ask.authorization_code)
    expect(entra.requestsTo('token')).toHaveLength(1)
  })
})
