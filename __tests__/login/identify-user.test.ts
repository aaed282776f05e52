/** Who has signed in, by an id token alone: what is asked of the verifier, and what its answers become. */
import { describe, expect, it } from '@jest/globals'
import type { EntraClaims, EntraVerifier } from '../../lib/entra/verify.js'
import { identifyUser } from '../../lib/login/identify-user.js'
import { OAuthError, unavailable } from '../../lib/oauth/errors.js'

const claims: EntraClaims = {
  ver: '2.0',
  iss: 'https://login.microsoftonline.com/tid-contoso/v2.0',
  aud: 'client-id',
  tid: 'tid-contoso',
  oid: 'oid-ada',
  sub: 'pairwise-ada',
  exp: 1_800_000_000,
  name: 'Ada Lovelace',
  preferred_username: 'ada@contoso.com',
}
const tokens = { accessToken: 'of-graph', expiresIn: 3600, idToken: 'the-id-token' }

/** A verifier that answers this, and knows what it was asked. */
function verifier(answer: () => EntraClaims) {
  const asked: unknown[] = []
  const fake: EntraVerifier = {
    accessToken: () => Promise.reject(new Error('the access token is not ours to read')),
    async idToken(...args) {
      asked.push(args)
      return answer()
    },
    isTenantAllowed: async () => true,
  }
  return { asked, fake }
}

describe('the user of a sign-in', () => {
  it('is the one of the id token, checked against the nonce of this very sign-in', async () => {
    const { asked, fake } = verifier(() => claims)
    expect(await identifyUser(fake, tokens, 'the-nonce')).toMatchObject({
      tid: 'tid-contoso',
      oid: 'oid-ada',
      name: 'Ada Lovelace',
      username: 'ada@contoso.com',
    })
    expect(asked).toEqual([['the-id-token', { nonce: 'the-nonce' }]])
  })

  it('is nobody without an id token', async () => {
    const { asked, fake } = verifier(() => claims)
    const { idToken: _none, ...rest } = tokens
    await expect(identifyUser(fake, rest, 'the-nonce')).rejects.toMatchObject({
      code: 'server_error',
    })
    expect(asked).toEqual([])
  })

  it('is refused as a user, not as a bearer, when the token is not good', async () => {
    const { fake } = verifier(() => {
      throw new OAuthError('invalid_token', 'The id token belongs to another login.')
    })
    await expect(identifyUser(fake, tokens, 'the-nonce')).rejects.toMatchObject({
      code: 'access_denied',
      status: 403,
      description: 'The id token belongs to another login.',
    })
  })

  it('is not known while the keys of Entra are out of reach: 503', async () => {
    const { fake } = verifier(() => {
      throw unavailable('The token cannot be checked right now.', new Error('ECONNREFUSED'))
    })
    await expect(identifyUser(fake, tokens, 'the-nonce')).rejects.toMatchObject({ status: 503 })
  })
})
