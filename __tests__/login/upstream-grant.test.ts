/** Whose tokens make a login: a person's, and nobody else's. */
import { describe, expect, it } from '@jest/globals'
import { entraScopes } from '../../lib/entra/scopes.js'
import type { EntraClaims, EntraVerifier } from '../../lib/entra/verify.js'
import { admitUser } from '../../lib/login/upstream-grant.js'

const part = Buffer.from('{}').toString('base64url')
const tokens = { accessToken: `${part}.${part}.`, idToken: 'id', expiresIn: 3600 }

/** Signs in with an access token of these claims: the verifier of these tests believes every one. */
function signIn(claims: Partial<EntraClaims>) {
  const verified = { oid: 'o', tid: 't', sub: 's', scp: 'notes.read', ...claims } as EntraClaims
  const verifier: EntraVerifier = {
    accessToken: async () => verified,
    idToken: async () => verified,
    isTenantAllowed: async () => true,
  }
  const context = {
    verifier,
    policy: { requiredRoles: [], allow: () => true },
    scopes: entraScopes({ clientId: 'app', required: ['notes.read'] }),
    now: () => 0,
  }
  const asked = { nonce: 'n', client: 'c', scopes: ['notes.read'], resource: 'https://r.test' }
  return admitUser(context, tokens, { ...asked, arrivedAt: 0 })
}

describe('a sign-in', () => {
  it("is a person's", async () => {
    expect((await signIn({})).user).toMatchObject({ oid: 'o', tid: 't' })
  })

  it.each<[string, Partial<EntraClaims>]>([
    ['the user account of an agent', { xms_sub_fct: '3 13' }],
    ['an agent', { idtyp: 'app', xms_act_fct: '11', xms_sub_fct: '11' }],
    ['an app', { idtyp: 'app' }],
  ])('is refused with the token of %s', async (_what, claims) => {
    await expect(signIn(claims)).rejects.toMatchObject({
      code: 'server_error',
      cause: 'the access token is of no person',
    })
  })
})
