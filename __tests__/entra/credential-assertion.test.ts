import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { clientAssertion } from '../../lib/entra/credential-assertion.js'
import type { CredentialContext } from '../../lib/entra/credentials.js'
import type { EntraEmulator } from '../../lib/testing/index.js'
import { clock, outcome } from '../support/entra.js'
import {
  assertionsAt,
  identity,
  legs,
  prepareLeg,
  runAllLegs,
  startApp,
  tenant,
} from '../support/legs.js'

let entra: EntraEmulator
let asked: CredentialContext[]
const sub = identity.principalId

beforeAll(async () => {
  entra = await startApp({ federatedCredentials: [{ subject: sub }] })
})
afterAll(() => entra.close())
beforeEach(() => {
  entra.clearFaults()
  entra.clearRequests()
  asked = []
})

function mint(context: CredentialContext): Promise<string> {
  asked.push(context)
  const audience = context.exchangeAudience
  return entra.mintAccessToken({ user: null, audience, claims: { sub }, expiresIn: 1000 })
}

const context: CredentialContext = {
  clientId: identity.clientId,
  tokenEndpoint: 'https://login.example/token',
  exchangeAudience: 'api://AzureADTokenExchange',
}

describe('clientAssertion', () => {
  it('proves on every leg with what the function returns, asking it once', async () => {
    await runAllLegs(entra, clientAssertion(mint))
    expect(assertionsAt(entra).map(({ grantType, status }) => [grantType, status])).toEqual(
      legs.map((name) => [name, 200]),
    )
    expect(asked).toEqual([
      {
        clientId: entra.app.clientId,
        tokenEndpoint: `${entra.url}/${tenant}/oauth2/v2.0/token`,
        exchangeAudience: 'api://AzureADTokenExchange',
      },
    ])
  })

  it('asks again when the assertion nears its end: a tenth of its life, at most a minute', async () => {
    const now = clock(entra.now() * 1000)
    const credential = clientAssertion(mint, { now })
    await credential(context)
    now.advance(930)
    await credential(context)
    expect(asked).toHaveLength(1)
    now.advance(11)
    await credential(context)
    expect(asked).toHaveLength(2)
  })

  it.each(legs)('asks again, once, when Entra finds it outdated: %s', async (name) => {
    const ask = await prepareLeg(entra, clientAssertion(mint), name)
    asked = []
    entra.clearRequests()
    entra.fault({ at: 'token', error: 700024, times: 1 })
    await ask()
    const sent = assertionsAt(entra)
    expect(sent.map(({ status, error }) => error ?? status)).toEqual([700024, 200])
    expect(asked.at(-1)).toMatchObject({ rejected: sent[0]?.assertion })
  })

  it('asks again once for all whom Entra refused the same assertion', async () => {
    const ask = await prepareLeg(entra, clientAssertion(mint), 'refresh_token')
    await ask()
    asked = []
    entra.clearRequests()
    entra.advance(1400)
    await Promise.all(Array.from({ length: 10 }, ask))
    const sent = assertionsAt(entra)
    expect(sent.filter(({ error }) => error === 700024)).toHaveLength(10)
    expect(sent.filter(({ status }) => status === 200)).toHaveLength(10)
    expect(new Set(sent.map(({ assertion }) => assertion)).size).toBe(2)
    expect(asked).toHaveLength(1)
  })

  it('does not try the same assertion twice', async () => {
    const token = await mint(context)
    const ask = await prepareLeg(
      entra,
      clientAssertion(() => token),
      'on_behalf_of',
    )
    entra.fault({ at: 'token', error: 700024 })
    expect(await outcome(ask)).toMatchObject({ codes: [700024] })
    expect(assertionsAt(entra)).toHaveLength(1)
  })

  it('keeps nothing that says no end', async () => {
    let count = 0
    const credential = clientAssertion(() => `opaque-${++count}`)
    expect(await credential(context)).toEqual({ assertion: 'opaque-1' })
    expect(await credential(context)).toEqual({ assertion: 'opaque-2' })
  })

  it('keeps the assertions of a thousand tenants, not of more', async () => {
    const credential = clientAssertion(mint)
    const of = (index: number) => credential({ ...context, tokenEndpoint: `https://x/${index}` })
    for (let index = 0; index < 1001; index++) await of(index)
    expect(asked).toHaveLength(1001)
    await of(1000)
    await of(1)
    expect(asked).toHaveLength(1001)
    await of(0)
    expect(asked).toHaveLength(1002)
  })

  it.each([undefined, '', 7])('is an outage when the function returns %j', async (result) => {
    const ask = await prepareLeg(
      entra,
      clientAssertion(() => result as string),
      'on_behalf_of',
    )
    expect(await outcome(ask)).toMatchObject({ kind: 'unavailable' })
    expect(entra.requestsTo('token')).toHaveLength(0)
  })

  it('asks again after a failure', async () => {
    let down = true
    const credential = clientAssertion((given) => {
      if (down) throw new Error('no vault')
      return mint(given)
    })
    expect(await outcome(() => credential(context))).toBeInstanceOf(Error)
    down = false
    expect(await credential(context)).toHaveProperty('assertion')
  })

  it('refuses a fixed assertion at creation', () => {
    expect(() => clientAssertion('eyJ' as never)).toThrow(/^clientAssertion: give a function/)
  })
})
