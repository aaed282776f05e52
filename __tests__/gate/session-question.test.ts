/** What a request says of its client, and how a client waits for its user. */
import { describe, expect, it } from '@jest/globals'
import type { CallerSession } from '../../lib/gate/caller-session.js'
import { askingOf, hearAnswer, noteDeclaration } from '../../lib/gate/session-question.js'

/** A session whose interactions stay open for so many looks. */
function sessionOf(looks = 0) {
  const seen = { noted: [] as boolean[], begun: 0, looks: 0 }
  const session: CallerSession = {
    async noteUrlElicitation(declared) {
      seen.noted.push(declared)
    },
    hasUrlElicitation: async () => seen.noted.at(-1) ?? false,
    async begin() {
      seen.begun += 1
      return {
        id: `new-${seen.begun}`,
        url: `https://mcp.example/auth/interaction?id=new-${seen.begun}`,
      }
    },
    async isOpen(id) {
      seen.looks += 1
      return id === 'mine' && seen.looks <= looks
    },
    urlOf: (id) => `https://mcp.example/auth/interaction?id=${id}`,
  }
  return { session, seen }
}

const call = (more: object = {}) => ({
  id: 1,
  method: 'tools/call',
  params: { name: 't', ...more },
})
const modern = {
  _meta: {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientCapabilities': { elicitation: { url: {} } },
  },
}
const answer = (action: string, key = 'signIn.mine') => ({ inputResponses: { [key]: { action } } })
const stays = () => false

describe('a client of 2025-11-25', () => {
  const connect = (capabilities: unknown) => ({ method: 'initialize', params: { capabilities } })

  it.each([
    [true, { elicitation: { url: {} } }],
    [true, { elicitation: { form: {}, url: {} } }],
    [false, { elicitation: { form: {} } }],
    [false, { elicitation: {} }],
    [false, { elicitation: { url: null } }],
    [false, { elicitation: 'url' }],
    [false, Object.create({ elicitation: { url: {} } })],
    [false, undefined],
  ])('is noted as %s when it declares %j', async (declared, capabilities) => {
    const { session, seen } = sessionOf()
    await noteDeclaration({ session, message: connect(capabilities) })
    expect(seen.noted).toEqual([declared])
  })

  it('is asked with an error once it has declared URLs, and is noted for nothing else it sends', async () => {
    const { session, seen } = sessionOf()
    await noteDeclaration({ session, message: connect({ elicitation: { url: {} } }) })
    const request = { session, message: call() }
    await noteDeclaration(request)
    expect(seen.noted).toEqual([true])
    expect(await askingOf(request).ask({ claims: '{}' })).toMatchObject({
      form: 'error',
      id: 'new-1',
    })
  })
})

describe('a client of 2026-07-28', () => {
  it('is asked with a result, whatever its login has declared before', async () => {
    const { session } = sessionOf()
    const asking = askingOf({ session, message: call(modern) })
    expect(await asking.can()).toBe(true)
    expect(await asking.ask({ scopes: ['s'] })).toMatchObject({
      form: 'result',
      message: expect.stringMatching(/^A permission .* of mcp\.example,/),
    })
  })

  it('is asked nothing without the capability, though the login had a client with it', async () => {
    const { session, seen } = sessionOf()
    seen.noted.push(true)
    const meta = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } }
    expect(await askingOf({ session, message: call(meta) }).ask({})).toBeUndefined()
    expect(seen.begun).toBe(0)
  })

  it('is asked in a tool call alone', async () => {
    const { session } = sessionOf()
    const message = { ...call(modern), method: 'resources/read' }
    expect(await askingOf({ session, message }).can()).toBe(false)
    // Nobody waits for the answer to a notification.
    const { id: _id, ...notification } = call(modern)
    expect(await askingOf({ session, message: notification }).can()).toBe(false)
  })

  it('gets the same URL again while that is open, and a new one when it is not', async () => {
    const { session } = sessionOf(1)
    const request = { session, message: call({ ...modern, ...answer('accept') }) }
    expect(await askingOf(request).ask({})).toMatchObject({ id: 'mine' })
    expect(await askingOf(request).ask({})).toMatchObject({ id: 'new-1' })
  })
})

describe('an answer', () => {
  it.each([
    [true, 'decline'],
    [true, 'cancel'],
    [true, 'anything else'],
    [false, 'accept'],
  ])('is a no (%s): %s', async (isNo, action) => {
    const { session } = sessionOf()
    expect(await hearAnswer({ session, message: call(answer(action)) }, stays)).toBe(isNo)
  })

  it('of a tool of the application is left to it', async () => {
    const { session, seen } = sessionOf(9)
    const message = call(answer('decline', 'confirm'))
    expect(await hearAnswer({ session, message }, stays)).toBe(false)
    expect(seen.looks).toBe(0)
  })

  it('is waited for while the user is at Entra, and no longer than the client is there', async () => {
    const { session, seen } = sessionOf(2)
    const message = call(answer('accept'))
    expect(await hearAnswer({ session, message }, stays)).toBe(false)
    expect(seen.looks).toBe(3)
    expect(await hearAnswer({ session, message }, () => true)).toBe(false)
    expect(seen.looks).toBe(3)
  })
})
