/** What a verified token says of its caller, when Entra's own token says less than usual. */
import { describe, expect, it } from '@jest/globals'
import { proxyToken } from '../../lib/gate/verified-token.js'
import type { AccessTokenClaims } from '../../lib/tokens/access-token.js'
import type { Grant } from '../../lib/tokens/records.js'

const ids = {
  tid: 'c0a70500-0000-4000-8000-00000000c050',
  oid: '0000ada0-0000-4000-8000-000000000001',
}

function tokenWith(payload: object) {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const accessToken = `${part({ alg: 'RS256' })}.${part(payload)}.${part({})}`
  const user = { ...ids, sub: 'pairwise', roles: [] }
  const grant = { user, upstream: { accessToken, expiresAt: 1 } } as unknown as Grant
  const claims = { client_id: 'a', scope: 'notes.read', exp: 1, aud: 'b', sid: 'c' }
  return proxyToken(claims as AccessTokenClaims, grant)
}

describe('a token of ours, behind which is one of Azure AD B2C without `tid` and `oid`', () => {
  const verified = tokenWith({ sub: ids.oid, scp: 'notes.read', roles: ['Notes.Admin'] })

  it('names the user all the same', () => {
    expect(verified.caller()).toEqual({ kind: 'user', ...ids, roles: ['Notes.Admin'] })
  })

  it('has the two among its claims, as a direct token has', () => {
    expect(verified.claims()).toMatchObject({ ...ids, scp: 'notes.read' })
  })
})
