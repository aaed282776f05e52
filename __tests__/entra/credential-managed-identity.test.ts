/** At App Service; MSAL settles on one identity endpoint for good, so virtual machines have a file of their own. */
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt } from 'jose'
import {
  type ManagedIdentityOptions,
  managedIdentity,
} from '../../lib/entra/credential-managed-identity.js'
import type { EntraEmulator } from '../../lib/testing/index.js'
import { clock, outcome, waitUntil } from '../support/entra.js'
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
const other = {
  clientId: '1de00003-0000-4000-8000-000000000003',
  principalId: '1de00004-0000-4000-8000-000000000004',
}
const day = 24 * 3600

beforeAll(async () => {
  entra = await startApp(
    { federatedCredentials: [{ subject: identity.principalId }] },
    { managedIdentities: [identity, other] },
  )
  Object.assign(process.env, entra.identityEnvironment.appService)
})
afterAll(() => entra.close())
beforeEach(() => {
  entra.clearFaults()
  entra.clearRequests()
})

const { clientId, principalId, resourceId } = identity

describe('managedIdentity at App Service', () => {
  it('proves on every leg with one token of the identity', async () => {
    await runAllLegs(entra, managedIdentity({ clientId }))
    const sent = assertionsAt(entra)
    expect(sent.map(({ grantType, status }) => [grantType, status])).toEqual(
      legs.map((name) => [name, 200]),
    )
    expect(new Set(sent.map(({ assertion }) => assertion)).size).toBe(1)
    expect(decodeJwt(sent[0]?.assertion ?? '')).toMatchObject({
      aud: 'api://AzureADTokenExchange',
      sub: principalId,
      iss: `${entra.url}/${tenant}/v2.0`,
    })
    expect(entra.requestsTo('identity')).toHaveLength(1)
    expect(entra.requestsTo('identity')[0]).toMatchObject({
      path: '/msi/token',
      params: {
        'api-version': '2019-08-01',
        resource: 'api://AzureADTokenExchange',
        client_id: clientId,
      },
    })
  })

  it.each<[string, ManagedIdentityOptions]>([
    ['its object id', { objectId: principalId }],
    ['its resource id', { resourceId }],
  ])('finds the identity by %s', async (_what, options) => {
    await runAllLegs(entra, managedIdentity(options))
  })

  it('asks the endpoint once for all who wait', async () => {
    const ask = await prepareLeg(entra, managedIdentity({ clientId }), 'on_behalf_of')
    await Promise.all(Array.from({ length: 20 }, ask))
    expect(entra.requestsTo('identity')).toHaveLength(1)
  })

  it('keeps the token for its life, less a minute', async () => {
    const now = clock(entra.now() * 1000)
    const ask = await prepareLeg(entra, managedIdentity({ clientId, now }), 'on_behalf_of')
    await ask()
    now.advance(day - 70)
    await ask()
    expect(entra.requestsTo('identity')).toHaveLength(1)
    now.advance(20)
    await ask()
    await waitUntil(() => entra.requestsTo('identity').length === 2)
  })

  it('goes on with the token until its end when the endpoint fails before', async () => {
    const now = clock(entra.now() * 1000)
    const ask = await prepareLeg(entra, managedIdentity({ clientId, now }), 'on_behalf_of')
    await ask()
    entra.fault({ at: 'identity', status: 400 })
    now.advance(day - 30)
    await ask()
    now.advance(60)
    expect(await outcome(ask)).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/^the managed identity gave no token: ./),
      hint: expect.stringContaining('assigned to this machine'),
    })
  })

  it('rides out a pause of the endpoint', async () => {
    const ask = await prepareLeg(entra, managedIdentity({ clientId }), 'on_behalf_of')
    entra.fault({ at: 'identity', status: 503, html: true, times: 1 })
    await ask()
    expect(entra.requestsTo('identity').map(({ status }) => status)).toEqual([503, 200])
  })

  it.each([200, 502])('takes no page of a gateway for a token (HTTP %i)', async (status) => {
    const ask = await prepareLeg(entra, managedIdentity({ clientId }), 'on_behalf_of')
    entra.fault({ at: 'identity', status, html: true, times: 1 })
    expect(await outcome(ask)).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/^the managed identity gave no token: ./),
    })
    expect(entra.requestsTo('token')).toHaveLength(0)
    expect(await ask()).toMatchObject({ accessToken: expect.any(String) })
  })

  it.each(legs)('asks for another, once, when Entra finds it outdated: %s', async (name) => {
    // Its own clock says nothing: the token expires at Entra's.
    const ask = await prepareLeg(entra, managedIdentity({ clientId }), name)
    if (name !== 'authorization_code') await ask()
    entra.clearRequests()
    entra.fault({ at: 'token', error: 700024, times: 1 })
    await ask()
    const [refused, accepted, ...more] = assertionsAt(entra)
    expect([refused?.error, accepted?.status, more]).toEqual([700024, 200, []])
    expect(accepted?.assertion).not.toBe(refused?.assertion)
    expect(entra.requestsTo('identity').length).toBeGreaterThan(0)
  })

  it('is no worse off with a clock of its own that is a day late', async () => {
    const now = clock(entra.now() * 1000)
    const credential = managedIdentity({ clientId, now })
    await (await prepareLeg(entra, credential, 'on_behalf_of'))()
    entra.advance(day + 600)
    const ask = await prepareLeg(entra, credential, 'on_behalf_of')
    entra.clearRequests()
    await ask()
    expect(assertionsAt(entra).map(({ status, error }) => error ?? status)).toEqual([700024, 200])
    expect(entra.requestsTo('identity')).toHaveLength(1)
  })

  it('is refused when the app does not know the identity (AADSTS700213), and the operator hears it', async () => {
    const ask = await prepareLeg(
      entra,
      managedIdentity({ clientId: other.clientId }),
      'on_behalf_of',
    )
    expect(await outcome(ask)).toMatchObject({
      kind: 'misconfigured',
      codes: [700213],
      hint: expect.stringContaining('Federated credentials'),
    })
  })

  it.each<[string, ManagedIdentityOptions]>([
    ['that is not there', { clientId: tenant }],
    ['when there are several and none is named', {}],
  ])('is an outage with a hint for an identity %s', async (_what, options) => {
    const ask = await prepareLeg(entra, managedIdentity(options), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({
      kind: 'unavailable',
      hint: expect.stringContaining('clientSecret'),
    })
    expect(entra.requestsTo('token')).toHaveLength(0)
  })

  it.each<[RegExp, ManagedIdentityOptions]>([
    [/one of clientId, objectId and resourceId/, { clientId, objectId: principalId }],
    [/clientId must be a GUID/, { clientId: 'notes' }],
    [/objectId must be a GUID/, { objectId: '' }],
    [/resourceId must begin with \/subscriptions/, { resourceId: 'notes' }],
  ])('refuses at creation: %s', (words, options) => {
    expect(() => managedIdentity(options)).toThrow(TypeError)
    expect(() => managedIdentity(options)).toThrow(words)
  })

  it('shows no token to anybody who prints it', async () => {
    const credential = managedIdentity({ clientId })
    await runAllLegs(entra, credential)
    const shown = inspect(credential, { depth: 9, showHidden: true })
    expect(shown).not.toContain('eyJ')
    expect(String(JSON.stringify({ credential }))).toBe('{}')
  })
})
