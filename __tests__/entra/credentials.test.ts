import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { clientSecret } from '../../lib/entra/credentials.js'

const context = { clientId: 'c', tokenEndpoint: 'https://login.example/token' }

describe('clientSecret', () => {
  it('proves with the secret', async () => {
    expect(await clientSecret('s3cr~t')(context)).toEqual({ secret: 's3cr~t' })
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
})
