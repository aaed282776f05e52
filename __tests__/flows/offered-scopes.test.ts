/** Offered scopes: named to every client, shown to every user, demanded by no gate. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { entraScopes } from 'mcp-entra'
import type { Entra } from '../support/host.js'
import {
  addNote,
  challengeParams,
  getNotes,
  login,
  refresh,
  type Tokens,
} from '../support/oauth-client.js'
import {
  jsonOf,
  openConsent,
  startProxy,
  startTestEntra,
  type TestProxy,
} from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, {
    scopes: entraScopes({
      clientId: entra.app.clientId,
      required: ['notes.read'],
      optional: ['profile.read', 'notes.write'],
      offered: ['notes.write'],
      descriptions: { 'notes.read': 'Read your notes', 'notes.write': 'Add notes for you' },
    }),
  })
})

describe('an offered scope', () => {
  it('stands in the metadata of the resource and in the bare challenge, after the required ones', async () => {
    const document = await fetch(`${proxy.url}/.well-known/oauth-protected-resource/mcp`)
    expect((await jsonOf(document)).scopes_supported).toEqual(['notes.read', 'notes.write'])
    const bare = await fetch(`${proxy.url}/api/notes`)
    expect(bare.status).toBe(401)
    expect(challengeParams(bare).scope).toBe('notes.read notes.write')
  })

  it('is granted to a client that asks for what it was told, without a step-up', async () => {
    const { scope } = challengeParams(await fetch(`${proxy.url}/api/notes`))
    const session = await login(proxy.url, { scope: scope ?? '' })
    expect(session.scope).toBe('notes.read notes.write')
    expect((await addNote(proxy.url, session.access_token, 'x')).status).toBe(201)
  })

  it.each([undefined, 'openid email profile'])(
    'is asked for by a login with the scope %j, and listed on the consent page',
    async (scope) => {
      const { page } = await openConsent(proxy.url, { params: { scope } })
      expect(page.html).toContain('<li>Read your notes (<code>notes.read</code>)</li>')
      expect(page.html).toContain('<li>Add notes for you (<code>notes.write</code>)</li>')
      expect(page.html).not.toContain('profile.read')
      const session = await login(proxy.url, scope === undefined ? {} : { scope })
      expect(session.scope).toBe('notes.read notes.write')
    },
  )

  it('comes to nobody who asked for less, by login or by refresh, and no gate demands it', async () => {
    const { page } = await openConsent(proxy.url, { params: { scope: 'notes.read' } })
    expect(page.html).not.toContain('notes.write')
    const session = await login(proxy.url, { scope: 'notes.read' })
    expect(session.scope).toBe('notes.read')
    expect((await getNotes(proxy.url, session.access_token)).status).toBe(200)
    for (const more of [{}, { scope: 'openid' }]) {
      const response = await refresh(proxy.url, session, more)
      expect((await jsonOf<Tokens>(response)).scope).toBe('notes.read')
    }
  })
})

describe('offered scopes at creation', () => {
  const options = { clientId: 'app', required: ['notes.read'], optional: ['notes.write'] }

  it('are none by default, once each, and frozen', () => {
    expect(entraScopes(options).offered).toEqual([])
    const twice = entraScopes({ ...options, offered: ['notes.write', 'notes.write'] })
    expect(twice.offered).toEqual(['notes.write'])
    expect(Object.isFrozen(twice.offered)).toBe(true)
    expect(twice.required).toEqual(['notes.read'])
  })

  it.each<[string, unknown, string]>([
    [
      'a required scope',
      ['notes.read'],
      'entraScopes: leave "notes.read" out of offered: it is required',
    ],
    [
      'a misspelt one',
      ['notes.wirte'],
      'entraScopes: offered: no such scope: "notes.wirte" (did you mean "notes.write"?)',
    ],
    ['a text', 'notes.write', 'entraScopes: offered must be a list of names from optional'],
    ['null', null, 'entraScopes: offered must be a list of names from optional'],
    ['no text', [1], 'entraScopes: offered: no such scope: 1 (there are: "notes.write")'],
  ])('throw for %s', (_what, offered, message) => {
    expect(() => entraScopes({ ...options, offered: offered as string[] })).toThrow(
      new TypeError(message),
    )
  })

  it('say what to do when there are no optional ones', () => {
    const { clientId, required } = options
    expect(() => entraScopes({ clientId, required, offered: ['notes.write'] })).toThrow(
      new TypeError('entraScopes: offered: put "notes.write" into optional first'),
    )
  })
})
