import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { clientSecret } from '../../lib/entra/credentials.js'
import { allLegs, assertionsAt, legs, startApp } from '../support/legs.js'

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
    await allLegs(entra, clientSecret('s3cr~t'))
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

  it('takes a secret that looks like a GUID, as some do', async () => {
    const secret = '3fa85f64-5717-4562-b3fc-2c963f66afa6'
    expect(await clientSecret(secret)(context)).toEqual({ secret })
  })
})
