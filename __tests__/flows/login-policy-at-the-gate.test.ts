/** `requiredRoles` and `allow` for users who bring Entra's own token: asked once, and remembered. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { entraScopes, OAuthError } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import type { EntraClaims } from '../../lib/entra/verify.js'
import { verifiedTokens } from '../../lib/gate/verified-tokens.js'
import { ada, ask, bob, encode, startGate, type TestGate } from '../support/gate.js'
import type { Entra } from '../support/host.js'
import { login } from '../support/oauth-client.js'

let entra: Entra
let gate: TestGate
let answer: (oid: string) => boolean | Promise<boolean>
let asked: string[] = []

beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra, {
    options: {
      allow: ({ oid }) => {
        asked.push(oid)
        return answer(oid)
      },
    },
  })
})
beforeEach(() => {
  asked = []
  answer = () => true
})
afterEach(() => void gate.logs.splice(0))
afterAll(async () => {
  await gate.close()
  await entra.close()
})

const call = (token: string, url = gate.url) => ask(`${url}/mcp`, token)
const statusesOf = async (token: string, count: number) => {
  const responses = await Promise.all(Array.from({ length: count }, () => call(token)))
  return [...new Set(responses.map(({ status }) => status))]
}

async function expectDenied(
  response: Response,
  description = 'The user may not use this server.',
): Promise<void> {
  expect(response.status).toBe(403)
  expect(response.headers.get('www-authenticate')).toBeNull()
  expect(await response.json()).toEqual({ error: 'access_denied', error_description: description })
}

describe('a user with a token of Entra', () => {
  it('is asked about once, however often and however many at once it is brought', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    expect(await statusesOf(token, 20)).toEqual([200])
    expect(await statusesOf(token, 20)).toEqual([200])
    expect(asked).toHaveLength(1)
  })

  it('is 403 without a challenge when allow says no, asked once as well', async () => {
    answer = () => false
    const token = await entra.mintAccessToken({ user: bob })
    expect(await statusesOf(token, 20)).toEqual([403])
    await expectDenied(await call(token))
    // The answer holds as long as the token; another token is another question.
    answer = () => true
    await expectDenied(await call(token))
    expect(asked).toHaveLength(1)
    expect((await call(await entra.mintAccessToken({ user: bob, expiresIn: 99 }))).status).toBe(200)
  })

  it('is told to get another token once the refused one has expired, and nobody is asked', async () => {
    answer = () => false
    const token = await entra.mintAccessToken({ user: bob, expiresIn: 100 })
    await expectDenied(await call(token))
    gate.clock.advance(100)
    const late = await call(token)
    expect(late.status).toBe(401)
    expect(late.headers.get('www-authenticate')).toContain('error="invalid_token"')
    gate.clock.advance(-100)
    expect(asked).toHaveLength(1)
  })

  it.each([
    ['rejects', () => Promise.reject(new Error('directory down'))],
    [
      'throws',
      () => {
        throw new OAuthError('invalid_token', 'directory down')
      },
    ],
  ])('is a 503 and never a 401 while allow %s, and comes in afterwards', async (_how, failing) => {
    answer = failing
    const token = await entra.mintAccessToken({ user: ada })
    for (let round = 1; round <= 2; round++) {
      const response = await call(token)
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toBe('5')
      expect(response.headers.get('www-authenticate')).toBeNull()
      expect(asked).toHaveLength(round)
    }
    expect(JSON.stringify(gate.logs)).toContain('directory down')
    answer = () => true
    expect((await call(token)).status).toBe(200)
  })

  it('needs one of the required roles, before allow is asked', async () => {
    const strict = await startGate(entra, {
      options: {
        requiredRoles: ['Notes.Admin'],
        allow: ({ oid }) => asked.push(oid) > 0,
      },
    })
    const without = await entra.mintAccessToken({ user: bob })
    const description = 'The user lacks a role that this server requires.'
    for (let round = 0; round < 2; round++)
      await expectDenied(await call(without, strict.url), description)
    expect(asked).toEqual([])
    expect((await call(await entra.mintAccessToken({ user: ada }), strict.url)).status).toBe(200)
    // An app has no user to ask about: any role an administrator gave it will do.
    const app = await entra.mintAccessToken({
      user: null,
      client: entra.apps[1]?.clientId ?? '',
    })
    expect((await call(app, strict.url)).status).toBe(200)
    expect(asked).toEqual([entra.user(ada).oid])
    await strict.close()
  })

  it('is never asked about on the strength of a bad token', async () => {
    for (const options of [{ key: 'foreign' as const }, { expiresIn: -10 }])
      expect((await call(await entra.mintAccessToken(options))).status).toBe(401)
    expect(asked).toEqual([])
  })
})

it('a token of ours asks nobody: its user was asked at login, and is at every refresh', async () => {
  const own = await login(gate.url, { user: ada })
  asked = []
  expect((await call(own.access_token)).status).toBe(200)
  gate.clock.advance(2)
  expect((await call(own.access_token)).status).toBe(200)
  expect(asked).toEqual([])
})

it('refusals are remembered up to a bound, and push out nobody who may come in', async () => {
  const seconds = 1_800_000_000
  let questions = 0
  const verify = verifiedTokens({
    verifier: {
      accessToken: async ({ claims }) => claims as unknown as EntraClaims,
      idToken: () => Promise.reject(new Error('not here')),
      isTenantAllowed: () => Promise.reject(new Error('not here')),
    },
    scopes: entraScopes({ clientId: 'app', required: ['notes.read'] }),
    policy: {
      requiredRoles: [],
      allow: ({ oid }) => {
        questions += 1
        return oid === 'good'
      },
    },
    maxEntries: 1,
    now: () => seconds * 1000,
  })
  const token = (oid: string) =>
    `${encode({ alg: 'RS256' })}.${encode({ oid, scp: 'notes.read', exp: seconds + 60 })}.${encode({ oid }).padStart(60, 'A')}`
  await verify(token('good'))
  for (let i = 0; i <= 1000; i++) {
    await expect((async () => verify(token(`bad ${i}`)))()).rejects.toMatchObject({ status: 403 })
  }
  expect(questions).toBe(1002)
  await verify(token('good'))
  await expect((async () => verify(token('bad 1')))()).rejects.toMatchObject({ status: 403 })
  expect(questions).toBe(1002)
  // The oldest had to go.
  await expect((async () => verify(token('bad 0')))()).rejects.toMatchObject({ status: 403 })
  expect(questions).toBe(1003)
})
