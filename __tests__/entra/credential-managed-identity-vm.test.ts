/** On a virtual machine: the instance metadata service, whose address tests put elsewhere. */
import { ManagedIdentityCredential } from '@azure/identity'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { federatedCredential } from '../../lib/entra/credential-federated.js'
import { managedIdentity } from '../../lib/entra/credential-managed-identity.js'
import type { EntraEmulator } from '../../lib/testing/index.js'
import { assertionsAt, identity, legs, runAllLegs, startApp } from '../support/legs.js'

let entra: EntraEmulator
const { clientId, principalId, resourceId } = identity

beforeAll(async () => {
  entra = await startApp(
    { federatedCredentials: [{ subject: principalId }] },
    { managedIdentities: [identity] },
  )
  Object.assign(process.env, entra.identityEnvironment.virtualMachine)
})
afterAll(() => entra.close())
beforeEach(() => entra.clearRequests())

describe('managedIdentity on a virtual machine', () => {
  it.each([
    [{ clientId }],
    [{ objectId: principalId }],
    [{ resourceId }],
    // There is no other on this machine.
    [{}],
  ])('proves on every leg, asked for %j', async (options) => {
    await runAllLegs(entra, managedIdentity(options))
    expect(assertionsAt(entra).map(({ grantType, status }) => [grantType, status])).toEqual(
      legs.map((name) => [name, 200]),
    )
    expect(entra.requestsTo('identity')).toMatchObject([
      {
        path: expect.stringMatching(/^\/metadata\/identity\/oauth2\/token\/?$/),
        params: { 'api-version': '2018-02-01', resource: 'api://AzureADTokenExchange' },
        headers: { metadata: 'true' },
      },
    ])
  })
})

describe('federatedCredential on a virtual machine', () => {
  it('proves on every leg with the token ManagedIdentityCredential gets at the metadata service', async () => {
    await runAllLegs(entra, federatedCredential(new ManagedIdentityCredential({ clientId })))
    expect(assertionsAt(entra).map(({ status }) => status)).toEqual([200, 200, 200])
    expect(entra.requestsTo('identity')).toMatchObject([
      {
        path: expect.stringMatching(/^\/metadata\/identity\/oauth2\/token\/?$/),
        params: { resource: 'api://AzureADTokenExchange', client_id: clientId },
      },
    ])
  })
})
