/** What a request says of its client, and what it says of its user. */
import { describe, expect, it } from '@jest/globals'
import type { CallerSession } from '../../lib/gate/caller-session.js'
import { askingOf, hearAnswer, noteDeclaration } from '../../lib/gate/session-question.js'

const mine = 'm'.repeat(43)

function sessionOf() {
  const seen = { noted: [] as boolean[], begun: 0, waitedFor: [] as string[] }
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
    async waitFor(id) {
      seen.waitedFor.push(id)
    },
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
const answer = (action: string, key = `signIn.${mine}`) => ({
  inputResponses: { [key]: { action } },
})
const stays = () => false
const met = { challenge: {}, wanted: 's' }

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
    expect(await askingOf(request).ask({ challenge: { claims: '{}' }, wanted: 's' })).toMatchObject(
      {
        form: 'error',
        id: 'new-1',
      },
    )
  })
})

describe('a client of 2026-07-28', () => {
  it('is asked with a result, whatever its login has declared before', async () => {
    const { session } = sessionOf()
    const asking = askingOf({ session, message: call(modern) })
    expect(await asking.can()).toBe(true)
    expect(await asking.ask({ challenge: { scopes: ['s'] }, wanted: 's' })).toMatchObject({
      form: 'result',
      message: expect.stringMatching(/^A permission .* of mcp\.example,/),
    })
  })

  it('is asked nothing without the capability, though the login had a client with it', async () => {
    const { session, seen } = sessionOf()
    seen.noted.push(true)
    const meta = { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' } }
    expect(await askingOf({ session, message: call(meta) }).ask(met)).toBeUndefined()
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

  it("finds the tool's own state again, whatever it was asked meanwhile", async () => {
    const { session } = sessionOf()
    const message = call({ ...modern, requestState: "the tool's" })
    expect(await askingOf({ session, message }).ask(met)).toMatchObject({
      requestState: "the tool's",
    })
    const junk = call({ ...modern, requestState: { not: 'a text' } })
    expect(await askingOf({ session, message: junk }).ask(met)).not.toHaveProperty('requestState')
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

  it.each([
    'confirm',
    'signIn.github',
    'signIn.',
    `signIn.${mine}x`,
    `x.signIn.${mine}`,
    '__proto__',
    `signIn.${'m'.repeat(100_000)}`,
  ])('of a tool of the application is left to it (%#)', async (key) => {
    const { session, seen } = sessionOf()
    for (const action of ['accept', 'decline']) {
      expect(await hearAnswer({ session, message: call(answer(action, key)) }, stays)).toBe(false)
    }
    expect(seen.waitedFor).toEqual([])
  })

  it.each([
    ['a text', 'signIn'],
    ['a list', [{ action: 'decline' }]],
    ['nothing', null],
    ['a number', 5],
  ])('that is %s is none', async (_what, inputResponses) => {
    const { session } = sessionOf()
    expect(await hearAnswer({ session, message: call({ inputResponses }) }, stays)).toBe(false)
  })

  it('to a notification, and to anything but a tool call, is none', async () => {
    const { session, seen } = sessionOf()
    const { id: _id, ...notification } = call(answer('decline'))
    const other = { ...call(answer('decline')), method: 'prompts/get' }
    for (const message of [notification, other]) {
      expect(await hearAnswer({ session, message }, stays)).toBe(false)
    }
    expect(seen.waitedFor).toEqual([])
  })

  it('of a user who has agreed is waited for, among thousands of others', async () => {
    const { session, seen } = sessionOf()
    const others = Array.from({ length: 5000 }, (_, n) => [`other-${n}`, { action: 'decline' }])
    const inputResponses = Object.fromEntries([...others, [`signIn.${mine}`, { action: 'accept' }]])
    expect(await hearAnswer({ session, message: call({ inputResponses }) }, stays)).toBe(false)
    expect(seen.waitedFor).toEqual([mine])
  })
})
