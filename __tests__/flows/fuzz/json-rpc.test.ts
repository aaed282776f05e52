/** The tool guard against bodies made to slip through it, and an oracle that reads what the tool would get. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import fc from 'fast-check'
import { requireBearer, scopeGuard } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { bounded } from '../../support/fuzz.js'
import { bob, post, startGate, type TestGate } from '../../support/gate.js'
import type { Entra } from '../../support/host.js'

let entra: Entra
let gate: TestGate
let reader: string
const guarded = ['add_note', '__proto__', 'constructor', 'toString', 'nötiz']
const tools = Object.fromEntries([
  ...guarded.filter((name) => name !== '__proto__').map((name) => [name, 'notes.write']),
  ['list_notes', 'notes.read'],
])
Object.defineProperty(tools, '__proto__', { value: 'notes.write', enumerable: true })

beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra, {
    mount(app, auth) {
      const guard = scopeGuard({ tools })
      const seen: express.RequestHandler = (req, res) => void res.json(toolsIn(req.body))
      app.post('/mcp', requireBearer(auth), guard, seen)
      app.post('/parsed', express.json({ strict: false }), requireBearer(auth), guard, seen)
      app.post('/text', express.text({ type: '*/*' }), requireBearer(auth), guard, seen)
    },
  })
  reader = await entra.mintAccessToken({ user: bob, scopes: ['notes.read'] })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

/**
 * The tools that the most careless server behind the guard would call: one that copies what it gets key by key
 * (so that `__proto__` becomes a prototype), reads inherited members, and takes `["add_note"]` for a name.
 */
function toolsIn(body: unknown): string[] {
  const messages: unknown[] = Array.isArray(body) ? body.flat(5) : [body]
  return messages.flatMap((message) => {
    const { method, params } = Object(copied(message)) as { method?: unknown; params?: unknown }
    const { name } = Object(params) as { name?: unknown }
    return String(Array.isArray(method) ? method : [method]) === 'tools/call' && name !== undefined
      ? [Array.isArray(name) ? name.join() : `${typeof name === 'object' ? '' : name}`]
      : []
  })
}

function copied(value: unknown, levels = 9): unknown {
  if (typeof value !== 'object' || value === null || levels === 0) return value
  if (Array.isArray(value)) return value.map((one) => copied(one, levels - 1))
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value)) copy[key] = copied((value as typeof copy)[key], levels - 1)
  return copy
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A refusal or a pass; and what passes holds no guarded tool, neither in the text nor at the handler. */
async function expectGuarded(
  path: string,
  text: string,
  headers: Record<string, string> = {},
): Promise<void> {
  const response = await post(`${gate.url}${path}`, reader, text, headers)
  const answer = await response.text()
  expect([200, 400, 403, 413, 415]).toContain(response.status)
  const called = toolsIn(parsed(text)).filter((name) => guarded.includes(name))
  if (called.length > 0) expect(response.status).not.toBe(200)
  if (response.status !== 200) return
  const reached = (JSON.parse(answer) as string[]).filter((name) => guarded.includes(name))
  expect(reached).toEqual([])
}

const paths = fc.constantFrom('/mcp', '/parsed', '/text')
const names = fc.oneof(
  fc.constantFrom(...guarded),
  fc.constantFrom(...guarded, 'list_notes', 'other', 'ADD_NOTE', 'add_note ', 'add_note\u0000'),
  fc.jsonValue({ maxDepth: 1 }),
)
const methods = fc.oneof(
  { weight: 3, arbitrary: fc.constant('tools/call') },
  { weight: 1, arbitrary: fc.constantFrom('tools/list', 'Tools/Call', 'ping', 5, null) },
)
/** Members as pairs: names may come twice, and be `__proto__`, as no object literal could have them. */
const object = (members: readonly (readonly [string, string])[]) =>
  `{${members.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`
const text = (value: unknown) => JSON.stringify(value) ?? 'null'
const params = fc
  .array(
    fc.tuple(fc.constantFrom('name', 'name', '__proto__', 'arguments', 'constructor'), names),
    { minLength: 1, maxLength: 4 },
  )
  .map((members) => object(members.map(([name, value]) => [name, text(value)])))
const message = fc
  .record({
    methods: fc.array(methods, { minLength: 1, maxLength: 2 }),
    params: fc.array(params, { minLength: 1, maxLength: 2 }),
    disguise: fc.oneof(
      { weight: 3, arbitrary: fc.constant('') },
      { weight: 1, arbitrary: fc.constantFrom('__proto__', 'prototype', 'constructor', 'toJSON') },
    ),
    first: fc.boolean(),
  })
  .map(({ methods: listed, params: given, disguise, first }) => {
    const members: [string, string][] = [
      ['jsonrpc', '"2.0"'],
      ['id', '1'],
      ...listed.map((method): [string, string] => ['method', text(method)]),
      ...given.map((one): [string, string] => ['params', one]),
    ]
    const whole = object(first ? members : members.toReversed())
    return disguise === '' ? whole : object([[disguise, whole]])
  })
const batch = fc.array(message, { maxLength: 5 }).map((list) => `[${list.join(',')}]`)
const nested = batch.map((list) => `[${list}]`)
const spoilt = fc
  .tuple(message, fc.constantFrom('\ufeff', ' ', '\n', ',', '//', '\u0000', '"'), fc.nat(400))
  .map(([whole, junk, at]) => whole.slice(0, at) + junk + whole.slice(at))
const bodies = fc.oneof(message, message, batch, batch, nested, spoilt, fc.json())
const header = fc.constantFrom(
  'tools/call',
  'tools/list',
  'list_notes',
  'add_note',
  '__proto__',
  '=?base64?YWRkX25vdGU=?=',
  '=?base64?bGlzdF9ub3Rlcw==?=',
  '=?base64?????=',
  '',
)

describe('the guard of a tool', () => {
  it('lets no guarded call through that a parser finds in the body', async () => {
    await fc.assert(
      fc.asyncProperty(paths, bodies, (path, body) => expectGuarded(path, body)),
      bounded,
    )
  })

  it('is not talked out of it by headers', async () => {
    const headers = fc.record({ 'mcp-method': header, 'mcp-name': header }, { requiredKeys: [] })
    await fc.assert(
      fc.asyncProperty(paths, bodies, headers, (path, body, given) =>
        expectGuarded(path, body, { ...given }),
      ),
      bounded,
    )
  })

  it('does let calls through that need no more than the caller has', async () => {
    for (const name of ['list_notes', 'other']) {
      const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name } }
      const response = await post(`${gate.url}/mcp`, reader, call)
      expect([response.status, await response.json()]).toEqual([200, [name]])
    }
  })

  it.each([1_000, 100_000])('survives %i levels of nesting', async (depth) => {
    const call = object([
      ['method', '"tools/call"'],
      ['params', object([['name', '"add_note"']])],
    ])
    for (const body of [
      '['.repeat(depth) + ']'.repeat(depth),
      `${'['.repeat(depth)}${call}${']'.repeat(depth)}`,
      `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`,
      `[${call},${'['.repeat(depth)}${']'.repeat(depth)}]`,
    ]) {
      await expectGuarded('/mcp', body)
    }
  })
})
