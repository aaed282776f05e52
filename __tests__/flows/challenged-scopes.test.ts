/** The scopes a 401 names: what a new client is told, or what the token at hand had, once it is known to be ours. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { entraScopes, requireBearer, resourceMetadata } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { ada, ask, decode, startGate, type TestGate } from '../support/gate.js'
import { type Entra, testKeys } from '../support/host.js'
import { challengeParams, login, postForm, refresh, type Tokens } from '../support/oauth-client.js'
import { signEs256 } from '../support/sign-es256.js'

let entra: Entra
let gate: TestGate
let own: Tokens & { clientId: string }

const offering = (names: readonly string[] = ['notes.read', 'notes.write', 'notes.share']) =>
  entraScopes({
    clientId: entra.app.clientId,
    required: ['notes.read'],
    optional: names.slice(1),
    offered: names.slice(2),
  })

beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra, { options: { scopes: offering() } })
})
beforeEach(async () => {
  own = await login(gate.url, { user: ada, scope: 'notes.read notes.write' })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

const revoke = (token: string) => postForm(`${gate.url}/revoke`, { token, client_id: own.clientId })

/** What the challenge of a 401 says. */
async function refusal(token: string | undefined, url = gate.url) {
  const response = await ask(`${url}/mcp`, token)
  expect(response.status).toBe(401)
  const { error_description, scope } = challengeParams(response)
  return [error_description, scope]
}

const told = 'notes.read notes.share'
const had = 'notes.read notes.write'

/** Claims signed with keys of ours, or of somebody else under our key's name. */
function signed(claims: object, keys = testKeys): string {
  const { kid } = keyRing(testKeys).current.signing
  const { privateKey } = keyRing(keys).current.signing
  const all = { ...decode(own.access_token).claims, ...claims }
  return signEs256({ typ: 'at+jwt', kid }, all, privateKey)
}

const longAgo = { exp: 1_700_000_000 }

describe('a 401 names the required and the offered scopes', () => {
  it.each<[string, () => string | undefined, string | undefined]>([
    ['without a token', () => undefined, undefined],
    ['for one nobody knows', () => 'abc', 'The access token is not one this server knows.'],
    [
      'for an expired one that somebody else signed under our kid, whatever scopes it claims',
      () => signed({ ...longAgo, scope: had }, ['another ring: 0123456789abcdef']),
      'The access token has a bad signature.',
    ],
    [
      'for one without an expiry',
      () => signed({ exp: undefined, scope: had }),
      'The access token has expired.',
    ],
  ])('%s', async (_what, token, description) => {
    expect(await refusal(token())).toEqual([description, told])
  })

  it("for an expired token of Entra's", async () => {
    const token = await entra.mintAccessToken({ scopes: ['notes.write'], expiresIn: -10 })
    expect(await refusal(token)).toEqual(['The token has expired.', told])
  })
})

describe('a 401 names the scopes of a token that is ours', () => {
  it('and has expired: seen before or not', async () => {
    const expired = ['The access token has expired.', had]
    expect(await refusal(signed(longAgo))).toEqual(expired)
    expect((await ask(`${gate.url}/mcp`, own.access_token)).status).toBe(200)
    gate.clock.advance(3601)
    expect(await refusal(own.access_token)).toEqual(expired)
    expect(await refusal(own.access_token)).toEqual(expired)
    gate.clock.advance(-3601)
  })

  it.each(['access_token', 'refresh_token'] as const)(
    'and was revoked by its %s: seen before or not',
    async (which) => {
      const sister = (await (await refresh(gate.url, own)).json()) as Tokens
      const brought = which === 'access_token' ? own : { ...own, ...sister }
      expect((await ask(`${gate.url}/mcp`, brought.access_token)).status).toBe(200)
      await revoke(brought[which])
      gate.clock.advance(1)
      const revoked = ['The access token has been revoked.', had]
      expect(await refusal(brought.access_token)).toEqual(revoked)
      expect(await refusal(brought.access_token)).toEqual(revoked)
    },
  )

  it('with the required ones before them, should it lack those', async () => {
    const [, scope] = await refusal(signed({ ...longAgo, scope: 'notes.write' }))
    expect(scope).toBe('notes.read notes.write')
    expect(await refusal(signed({ ...longAgo, scope: '' }))).toEqual([
      'The access token has expired.',
      'notes.read',
    ])
  })

  it('without those that exist no more: no login could ask for them', async () => {
    const options = { baseUrl: gate.url, storage: gate.store }
    const smaller = await startGate(entra, {
      options: { ...options, scopes: offering(['notes.read']) },
    })
    expect(await refusal(signed(longAgo), smaller.url)).toEqual([
      'The access token has expired.',
      'notes.read',
    ])
    const renamed = await startGate(entra, {
      options: {
        ...options,
        scopes: entraScopes({ clientId: entra.app.clientId, required: ['notes.share'] }),
      },
    })
    const response = await ask(`${renamed.url}/mcp`, own.access_token)
    expect([response.status, challengeParams(response).scope]).toEqual([403, 'notes.share'])
    await smaller.close()
    await renamed.close()
  })

  it('so a client that logs in for what it is told has as much as before', async () => {
    await revoke(own.refresh_token)
    gate.clock.advance(1)
    const [, scope = ''] = await refusal(own.access_token)
    expect((await login(gate.url, { user: ada, scope })).scope).toBe(had)
  })
})

it('in direct mode challenge and metadata name the offered scopes as Entra wants them', async () => {
  const direct = await startGate(entra, {
    options: { scopes: offering() },
    without: ['keys', 'credential'],
    mount(app, auth) {
      app.use(resourceMetadata(auth))
      app.use('/mcp', requireBearer(auth), (_req, res) => void res.end())
    },
  })
  const long = [`api://${entra.app.clientId}/notes.read`, `api://${entra.app.clientId}/notes.share`]
  expect(await refusal(undefined, direct.url)).toEqual([undefined, long.join(' ')])
  const document = await fetch(`${direct.url}/.well-known/oauth-protected-resource/mcp`)
  expect(await document.json()).toMatchObject({ scopes_supported: long })
  const token = await entra.mintAccessToken({ scopes: ['notes.read'] })
  expect((await ask(`${direct.url}/mcp`, token)).status).toBe(200)
  await direct.close()
})
