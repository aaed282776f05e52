/** The whole journey with the real SDK clients, both generations. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startWorld, type World } from '../support/host.js'
import { postForm } from '../support/oauth-client.js'
import { type Connection, generations, toolJson } from '../support/sdk-generations.js'
import { TestProvider } from '../support/sdk-provider.js'

describe.each(generations)('a real client ($name)', (generation) => {
  let world: World
  beforeAll(async () => {
    world = await startWorld()
  })
  afterAll(() => world.close())

  async function signedIn(
    user: string,
  ): Promise<{ provider: TestProvider; connection: Connection }> {
    const provider = new TestProvider(user)
    await expect(generation.connect(world.url, provider)).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(1)
    await generation.finish(world.url, provider, await provider.signIn())
    return { provider, connection: await generation.connect(world.url, provider) }
  }

  it('discovers, registers, logs in, steps up, goes to Graph, refreshes and is revoked', async () => {
    const { provider, connection } = await signedIn('ada@contoso.example')
    const [asked] = provider.sentTo
    expect(asked?.searchParams.get('scope')).toBe('notes.read')
    expect(asked?.searchParams.get('resource')).toBe(`${world.url}/mcp`)
    expect(await connection.tools()).toEqual(['whoami', 'list_notes', 'add_note', 'my_profile'])

    const who = toolJson(await connection.call('whoami')) as {
      user: { username: string }
      client: string
    }
    expect(who.user.username).toBe('ada@contoso.example')
    expect(who.client).toBe(provider.clientInformation().client_id)
    expect(toolJson(await connection.call('list_notes'))).toEqual([])
    expect(toolJson(await connection.call('my_profile'))).toMatchObject({
      userPrincipalName: 'ada@contoso.example',
    })

    // The refused write: the client goes for the scopes of the challenge.
    await expect(connection.call('add_note', { text: 'first' })).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(2)
    expect(provider.sentTo[1]?.searchParams.get('scope')?.split(' ').sort()).toEqual([
      'notes.read',
      'notes.write',
    ])
    await generation.finish(world.url, provider, await provider.signIn())
    expect(toolJson(await connection.call('add_note', { text: 'first' }))).toEqual(['first'])
    expect(toolJson(await connection.call('list_notes'))).toEqual(['first'])

    // A dead access token is refreshed without the user.
    const before = provider.tokens()
    provider.saveTokens({ ...before, access_token: 'no longer good' })
    expect(toolJson(await connection.call('list_notes'))).toEqual(['first'])
    expect(provider.tokens().refresh_token).not.toBe(before.refresh_token)
    expect(provider.sentTo).toHaveLength(2)

    // Revocation ends it, and the next call starts over.
    const revoked = await postForm(`${world.url}/revoke`, {
      token: provider.tokens().refresh_token,
      client_id: provider.clientInformation().client_id,
    })
    expect(revoked.status).toBe(200)
    await new Promise((resolve) => setTimeout(resolve, 1050))
    await expect(connection.call('list_notes')).rejects.toThrow()
    expect(provider.sentTo).toHaveLength(3)
    await connection.close()
  })

  it('keeps two users apart at once', async () => {
    const [ada, bob] = await Promise.all([
      signedIn('ada@contoso.example'),
      signedIn('bob@contoso.example'),
    ])
    const rounds = Array.from({ length: 5 }, async () => {
      const [adaWho, bobWho, adaProfile, bobProfile] = await Promise.all([
        ada.connection.call('whoami'),
        bob.connection.call('whoami'),
        ada.connection.call('my_profile'),
        bob.connection.call('my_profile'),
      ])
      expect(toolJson(adaWho)).toMatchObject({ user: { username: 'ada@contoso.example' } })
      expect(toolJson(bobWho)).toMatchObject({ user: { username: 'bob@contoso.example' } })
      expect(toolJson(adaProfile)).toMatchObject({ userPrincipalName: 'ada@contoso.example' })
      expect(toolJson(bobProfile)).toMatchObject({ userPrincipalName: 'bob@contoso.example' })
    })
    await Promise.all(rounds)
    await Promise.all([ada.connection.close(), bob.connection.close()])
  })
})
