/** DPoP through SDK v2's client, which knows it: login, calls, refresh, step-up, and keys that come and go. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { DpopSession } from '@modelcontextprotocol/client'
import { decode } from '../support/gate.js'
import { startWorld, type World } from '../support/host.js'
import { startProxy, startTestEntra } from '../support/proxy.js'
import { generations, toolJson } from '../support/sdk-generations.js'
import { TestProvider } from '../support/sdk-provider.js'

const [v1, v2] = generations as [(typeof generations)[0], (typeof generations)[0]]
const ada = 'ada@contoso.example'

/** A provider that signs proofs, with a key for as long as it lives. */
class DpopProvider extends TestProvider {
  session: Promise<DpopSession>

  constructor(alg: 'ES256' | 'EdDSA' | 'RS256' = 'ES256') {
    super(ada)
    this.session = DpopSession.create({ alg })
  }
  dpop(): Promise<DpopSession> {
    return this.session
  }
}

async function signIn(url: string, provider: TestProvider, generation = v2) {
  await expect(generation.connect(url, provider)).rejects.toThrow()
  await generation.finish(url, provider, await provider.signIn())
  return generation.connect(url, provider)
}

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

describe.each(['ES256', 'EdDSA', 'RS256'] as const)('SDK v2 with an %s key', (alg) => {
  it('logs in, calls, refreshes and steps up, with bound tokens all the way', async () => {
    const provider = new DpopProvider(alg)
    const { thumbprint: jkt } = await provider.session
    const isBound = () => {
      const { token_type, access_token } = provider.tokens()
      expect([token_type, decode(access_token).claims.cnf]).toEqual(['DPoP', { jkt }])
      return access_token
    }
    const connection = await signIn(world.url, provider)
    const first = isBound()
    expect(toolJson(await connection.call('list_notes'))).toEqual(expect.any(Array))

    // A token that is no good any more: the client refreshes by itself.
    provider.saveTokens({ ...provider.tokens(), access_token: `${first.slice(0, -4)}AAAA` })
    expect(toolJson(await connection.call('list_notes'))).toEqual(expect.any(Array))
    expect(isBound()).not.toBe(first)
    expect(provider.sentTo).toHaveLength(1)

    await expect(connection.call('add_note', { text: alg })).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(2)
    expect(provider.sentTo[1]?.searchParams.get('scope')).toContain('notes.write')
    await v2.finish(world.url, provider, await provider.signIn())
    isBound()
    expect(toolJson(await connection.call('add_note', { text: alg }))).toContain(alg)
    await connection.close()
  })
})

describe('SDK v2 whose key is lost', () => {
  it('is sent to log in again, and the login of the old key goes on for whoever has it', async () => {
    const provider = new DpopProvider()
    const connection = await signIn(world.url, provider)
    const kept = { session: provider.session, tokens: provider.tokens() }
    provider.session = DpopSession.create()
    await expect(connection.call('list_notes')).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(2)
    provider.session = kept.session
    provider.saveTokens(kept.tokens)
    expect(toolJson(await connection.call('list_notes'))).toEqual(expect.any(Array))
    await connection.close()
  })
})

describe('SDK v2 whose tool needs more of its user at Entra', () => {
  it('is sent to log in by a challenge of its own scheme, and then the call works', async () => {
    const provider = new DpopProvider()
    const connection = await signIn(world.url, provider)
    const { oid } = world.entra.user(ada)
    world.entra.requireMfa(oid, true)
    try {
      await expect(connection.call('my_profile')).rejects.toThrow()
      expect(provider.sentTo).toHaveLength(2)
      await v2.finish(world.url, provider, await provider.signIn())
      expect(toolJson(await connection.call('my_profile'))).toMatchObject({ id: oid })
      expect(provider.tokens().token_type).toBe('DPoP')
    } finally {
      world.entra.requireMfa(oid, false)
    }
    await connection.close()
  })
})

describe('clients without a key, where DPoP is allowed', () => {
  it.each([v1, v2])('$name gets and sends bearer tokens', async (generation) => {
    const provider = new TestProvider(ada)
    const connection = await signIn(world.url, provider, generation)
    expect(provider.tokens().token_type).toBe('Bearer')
    expect(toolJson(await connection.call('list_notes'))).toEqual(expect.any(Array))
    await connection.close()
  })
})

describe('the reference host with DPoP required', () => {
  it('serves SDK v2 with a key, and refuses clients without one at the token endpoint', async () => {
    const strict = await startWorld({ settings: { dpop: 'required' } })
    const connection = await signIn(strict.url, new DpopProvider())
    expect(toolJson(await connection.call('list_notes'))).toEqual([])
    await connection.close()
    for (const generation of generations) {
      const provider = new TestProvider(ada)
      await expect(generation.connect(strict.url, provider)).rejects.toThrow()
      const finish = generation.finish(strict.url, provider, await provider.signIn())
      await expect(finish).rejects.toThrow(/DPoP proof/)
    }
    await strict.close()
  })
})

describe('nonces', () => {
  it('are learned by the SDK at the token endpoint and used at the gate', async () => {
    const entra = await startTestEntra()
    const { url } = await startProxy(entra, { dpopNonces: true })
    const provider = new DpopProvider()
    const { auth, withDpopFromProvider } = await import('@modelcontextprotocol/client')
    const serverUrl = `${url}/mcp`
    expect(await auth(provider, { serverUrl })).toBe('REDIRECT')
    const answer = await provider.signIn()
    const code = { authorizationCode: answer.get('code') ?? '', iss: answer.get('iss') ?? '' }
    expect(await auth(provider, { serverUrl, ...code })).toBe('AUTHORIZED')
    expect((await provider.session).nonceFor(url)).toMatch(/./)
    const send = withDpopFromProvider(provider)(fetch)
    expect((await send(`${url}/api/notes`)).status).toBe(200)
    // A nonce that is too old, or of nobody: asked again, and then it works.
    ;(await provider.session).rememberNonce(url, 'of-nobody')
    expect((await send(`${url}/api/notes`)).status).toBe(200)
  })
})
