/** Account pages of two hosts on one Redis: real MCP clients whose access a user ends, and what a dump of it all shows. */
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { createClient, RESP_TYPES } from 'redis'
import { formsOf, type Page } from '../../../examples/demo/browser.js'
import { formWith, openApps, sessionCookie, signOutForm } from '../../support/account.js'
import { accountsInRedis } from '../../support/account-worlds.js'
import { ada, bob, login, postForm, redirectUri, refresh } from '../../support/oauth-client.js'
import { describeWithRedis } from '../../support/redis-server.js'
import { generations, toolJson } from '../../support/sdk-generations.js'
import { TestProvider } from '../../support/sdk-provider.js'

const prefix = `account-${process.pid}:`
const names = ({ html }: Page) =>
  [...html.matchAll(/<h2><bdi class="name">([^<]*)/g)].map(([, name]) => name)

describeWithRedis('account pages of two hosts on one Redis', () => {
  let world: Awaited<ReturnType<typeof accountsInRedis>>
  beforeAll(async () => {
    world = await accountsInRedis(prefix)
  })
  afterAll(() => world.close())

  it.each(generations)(
    'end the access of one client, and the other goes on ($name)',
    async (generation) => {
      const { url } = world
      const clients = await Promise.all(
        ['Goes', 'Stays'].map(async (client_name) => {
          const provider = new TestProvider(bob)
          provider.clientMetadata.client_name = `${client_name} (${generation.name})`
          await expect(generation.connect(url, provider)).rejects.toThrow()
          await generation.finish(url, provider, await provider.signIn())
          const connection = await generation.connect(url, provider)
          expect(toolJson(await connection.call('whoami'))).toMatchObject({ user: { oid: bob } })
          return { provider, connection }
        }),
      )
      const [goes, stays] = clients
      const { browser, page } = await openApps(url, bob)
      expect(
        names(page)
          .filter((name) => name?.includes(generation.name))
          .toSorted(),
      ).toEqual([`Goes (${generation.name})`, `Stays (${generation.name})`])
      const [item = ''] = page.html.match(/<li>\s*<h2>[^\n]*Goes[\s\S]*?<\/li>/) ?? []
      const id = formsOf({ ...page, html: item })[0]?.fields.get('app') ?? ''
      const after = await browser.open(...formWith(page, 'app', id))
      expect(names(after).filter((name) => name?.includes(generation.name))).toEqual([
        `Stays (${generation.name})`,
      ])
      await wait(1000)

      const { access_token, refresh_token } = goes?.provider.tokens() ?? {}
      const bearer = { authorization: `Bearer ${access_token}` }
      for (let n = 0; n < 2; n++) {
        expect((await fetch(`${url}/api/notes`, { headers: bearer })).status).toBe(401)
        const clientId = goes?.provider.clientInformation().client_id
        const refused = await refresh(url, { refresh_token, clientId })
        expect([refused.status, await refused.json()]).toEqual([
          400,
          expect.objectContaining({ error: 'invalid_grant' }),
        ])
      }
      // The client itself has nothing left but to send its user here again.
      const sentBefore = goes?.provider.sentTo.length ?? 0
      await expect(goes?.connection.call('whoami')).rejects.toThrow()
      expect(goes?.provider.sentTo.length).toBe(sentBefore + 1)
      expect(toolJson(await (stays?.connection.call('whoami') ?? Promise.reject()))).toMatchObject({
        user: { oid: bob },
      })
      await Promise.all(clients.map(({ connection }) => connection.close()))
    },
    60_000,
  )

  it('leave nothing of a client, a user, a scope or a session in the clear in Redis', async () => {
    const { url, entra } = world
    const seen = new Map<string, string>()
    const steal = async () => {
      for (const [key, value] of await dump(world.redisUrl)) seen.set(`${key} ${seen.size}`, value)
    }
    const secrets = new Set<string>([redirectUri, '127.0.0.1', 'Test client', 'localhost'])
    const { name, username, oid } = entra.user(ada)
    for (const text of [name, username, oid, oid.replaceAll('-', ''), entra.tenant.id])
      secrets.add(text)
    for (const text of ['notes.read', 'notes.write', 'User.Read', 'graph.microsoft'])
      secrets.add(text)

    const tokens = await login(url, { scope: 'notes.read notes.write' })
    secrets.add(tokens.clientId)
    const { browser, page } = await openApps(url, ada)
    const cookie = decodeURIComponent((await sessionCookie(browser, url)) ?? '')
    secrets.add(cookie)
    const [, id = ''] = /^s:([^.]+)\./.exec(cookie) ?? []
    expect(id).toHaveLength(32)
    secrets.add(id)
    const csrf = formsOf(page)[0]?.fields.get('csrf') ?? ''
    expect(csrf).toHaveLength(43)
    secrets.add(csrf)
    await steal()
    await browser.open(...formWith(page, 'app', 'all'))
    await steal()
    await browser.open(...signOutForm(page))
    await postForm(`${url}/revoke`, { token: tokens.refresh_token, client_id: tokens.clientId })
    await steal()

    const kinds = new Set(
      [...seen.keys()].map((key) => /^[\w-]+:/.exec(key.replace(prefix, ''))?.[0]),
    )
    expect([...kinds]).toEqual(
      expect.arrayContaining(['connected-apps:', 'ended-session:', 'grant:', 'mcp-entra-session:']),
    )
    const sessions = [...seen].filter(([key]) => key.startsWith('mcp-entra-session:'))
    for (const [, value] of sessions) {
      expect(Object.keys(JSON.parse(value))).toEqual(['cookie', 'box'])
      expect(Object.keys(JSON.parse(value).cookie)).toEqual(['originalMaxAge', 'expires'])
    }
    for (const [key, value] of seen) {
      const box = /"box":"([^"]+)"/.exec(value)?.[1] ?? ''
      const inside = Buffer.from(box, 'base64url').toString('latin1')
      const found = [...secrets].filter((secret) => `${key}\n${value}\n${inside}`.includes(secret))
      expect([key, found]).toEqual([key, []])
    }
  })
})

/** Every record of these hosts, as text. */
async function dump(url: string): Promise<Map<string, string>> {
  const client = createClient({ url })
  await client.connect()
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  const records = new Map<string, string>()
  for (const pattern of [`${prefix}*`, 'mcp-entra-session:*']) {
    for await (const keys of client.scanIterator({ MATCH: pattern })) {
      for (const key of keys) {
        const value = (await binary.get(key)) as Buffer | null
        if (value) records.set(key, value.toString('latin1'))
      }
    }
  }
  client.destroy()
  return records
}
