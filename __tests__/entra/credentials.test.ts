import { inspect } from 'node:util'
import { ManagedIdentityCredential } from '@azure/identity'
import { describe, expect, it } from '@jest/globals'
import { entraAuth, entraScopes } from 'mcp-entra'
import { type ClientCredential, clientSecret } from '../../lib/entra/credentials.js'
import { assertionsAt, legs, runAllLegs, startApp } from '../support/legs.js'

const context = {
  clientId: 'c',
  tokenEndpoint: 'https://login.example/token',
  exchangeAudience: 'api://AzureADTokenExchange',
}

describe('clientSecret', () => {
  it('proves with the secret', async () => {
    expect(await clientSecret('s3cr~t')(context)).toEqual({ secret: 's3cr~t' })
  })

  it('proves on every leg: code, refresh, on-behalf-of', async () => {
    const entra = await startApp({ secrets: ['s3cr~t'] })
    await runAllLegs(entra, clientSecret('s3cr~t'))
    expect(assertionsAt(entra)).toEqual(
      legs.map((grantType) => ({ grantType, assertion: '', secret: 's3cr~t', status: 200 })),
    )
    await entra.close()
  })

  it('shows the secret to nobody who prints it', () => {
    const credential = clientSecret('s3cr~t')
    for (const shown of [
      inspect(credential, { depth: 9, showHidden: true }),
      String(JSON.stringify({ credential })),
      String(credential),
    ]) {
      expect(shown).not.toContain('s3cr~t')
    }
  })

  it.each(['', '  ', undefined as unknown as string])('refuses an empty secret (%j)', (secret) => {
    expect(() => clientSecret(secret)).toThrow(
      new TypeError(
        'clientSecret: the secret is empty: give the "Value" of Certificates & secrets',
      ),
    )
  })

  it('refuses a secret with white space around it, without quoting it', () => {
    expect(() => clientSecret('s3cr~t\n')).toThrow(/white space/)
    expect(() => clientSecret('s3cr~t\n')).not.toThrow(/s3cr/)
  })

  it('refuses a GUID, which is the Secret ID, without quoting it', () => {
    const make = () => clientSecret('3fa85f64-5717-4562-b3fc-2c963f66afa6')
    expect(make).toThrow(TypeError)
    expect(make).toThrow(/^clientSecret: this is a GUID.*"Secret ID".*give the "Value" beside it/)
    expect(make).not.toThrow(/3fa85f64/)
  })
})

describe('a credential that is none', () => {
  const make = (credential: unknown) => () =>
    entraAuth({
      baseUrl: 'https://mcp.contoso.com',
      tenantId: 'contoso.com',
      clientId: '6f1d0c3a-1111-4222-8333-444455556666',
      credential: credential as ClientCredential,
      scopes: entraScopes({
        clientId: '6f1d0c3a-1111-4222-8333-444455556666',
        required: ['notes.read'],
      }),
    })

  it.each([
    ['a bare secret', 's3cr~t', /^entraAuth: credential is not a ClientCredential: make one with/],
    [
      'a credential of @azure/identity',
      new ManagedIdentityCredential(),
      /^entraAuth: credential is not a ClientCredential: wrap .*: federatedCredential\(…\)$/,
    ],
    ['an object', {}, /clientSecret/],
    ['an empty variable', '', /clientSecret/],
    ['null', null, /clientSecret/],
  ])('is refused at creation, with the remedy: %s', (_what, credential, words) => {
    expect(make(credential)).toThrow(TypeError)
    expect(make(credential)).toThrow(words)
    expect(make(credential)).not.toThrow(/s3cr/)
  })
})
