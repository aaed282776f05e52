import { describe, expect, it } from '@jest/globals'
import { EntraError, UpstreamOutage } from '../../lib/entra/errors.js'
import { entraScopes } from '../../lib/entra/scopes.js'
import type { TokenEndpoint, UpstreamTokens } from '../../lib/entra/token-endpoint.js'
import type { EntraClaims, EntraVerifier } from '../../lib/entra/verify.js'
import type { LoginPolicy } from '../../lib/login/policy.js'
import { type RenewalContext, renewLogin } from '../../lib/login/renew-login.js'
import { loginGrant, start, world } from '../support/replica.js'

/** A token that can be decoded: the verifier of these tests believes every one. */
const part = Buffer.from('{}').toString('base64url')
const accessToken = `${part}.${part}.`
const renewedTokens: UpstreamTokens = { accessToken, expiresIn: 3600, refreshToken: 'rt-1' }

interface Scene {
  readonly refresh?: () => Promise<UpstreamTokens>
  readonly claims?: Partial<EntraClaims>
  readonly allow?: LoginPolicy['allow']
}

/** A login in a store of its own, and an Entra that answers as told. */
async function scene({ refresh, claims = {}, allow = () => true }: Scene) {
  const { grants } = world().replica()
  const sid = 'the secret of this login'
  await grants.begin(sid, loginGrant)
  const events: string[] = []
  const { oid, tid } = loginGrant.user
  const verified = { oid, tid, scp: 'notes.read notes.write', ...claims } as EntraClaims
  const context: RenewalContext = {
    grants,
    policy: { requiredRoles: [], allow },
    verifier: { accessToken: async () => verified } as unknown as EntraVerifier,
    scopes: entraScopes({ clientId: 'app', required: ['notes.read'], optional: ['notes.write'] }),
    tokenEndpoint: { refresh: refresh ?? (async () => renewedTokens) } as unknown as TokenEndpoint,
    report: (name) => void events.push(name),
    now: () => start,
  }
  return {
    events,
    renew: () => renewLogin(context, { sid, grant: loginGrant, clientId: 'client' }),
    isLive: async () => (await grants.read(sid)) !== undefined,
  }
}

describe('a login that is renewed', () => {
  it("has Entra's new tokens, and what was requested as far as it is granted now", async () => {
    const { renew, isLive } = await scene({ claims: { roles: ['Notes.User'] } })
    expect((await renew()).grant).toEqual({
      ...loginGrant,
      user: { ...loginGrant.user, roles: ['Notes.User'] },
      scopes: ['notes.read', 'notes.write'],
      upstream: { accessToken, expiresAt: start / 1000 + 3600, refreshToken: 'rt-1' },
    })
    expect(await isLive()).toBe(true)
  })

  it('keeps its refresh token of Entra when Entra sends no new one', async () => {
    const { renew } = await scene({ refresh: async () => ({ accessToken, expiresIn: 60 }) })
    expect((await renew()).grant.upstream?.refreshToken).toBe('rt-0')
  })
})

describe('a login that is over', () => {
  it.each<[string, Scene, string]>([
    [
      'Entra says so',
      { refresh: () => Promise.reject(new EntraError('invalid_grant', 'no', { codes: [50173] })) },
      'refusal',
    ],
    ['the policy says no', { allow: () => false }, 'revocation'],
  ])('is revoked and invalid_grant when %s', async (_why, given, event) => {
    const { renew, isLive, events } = await scene(given)
    await expect(renew()).rejects.toMatchObject({ code: 'invalid_grant', status: 400 })
    expect(await isLive()).toBe(false)
    expect(events).toEqual([event])
  })

  it("is invalid_grant when the token is another user's", async () => {
    const { renew } = await scene({ claims: { oid: 'oid-bob' } })
    await expect(renew()).rejects.toMatchObject({ code: 'invalid_grant' })
  })
})

describe('a login that cannot be renewed now', () => {
  it.each<[string, Scene]>([
    ['Entra is away', { refresh: () => Promise.reject(new UpstreamOutage('away')) }],
    [
      'our credential is wrong',
      { refresh: () => Promise.reject(new EntraError('misconfigured', 'x', { codes: [7000222] })) },
    ],
    ['the policy fails', { allow: () => Promise.reject(new Error('database down')) }],
  ])('is a 503 and goes on when %s', async (_why, given) => {
    const { renew, isLive } = await scene(given)
    await expect(renew()).rejects.toMatchObject({ status: 503 })
    expect(await isLive()).toBe(true)
  })
})
