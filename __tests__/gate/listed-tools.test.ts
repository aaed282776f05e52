/** What a guard learns from answers to `tools/list`, however they are sent; and that it learns once. */
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from '@jest/globals'
import { type AuthInfo, withInternals } from '../../lib/gate/caller.js'
import { readGuard } from '../../lib/gate/guard-options.js'
import { watchTools } from '../../lib/gate/listed-tools.js'

type Body = unknown
let close = () => {}
afterEach(() => close())

const list = { jsonrpc: '2.0', id: 1, method: 'tools/list' }
const result = (names: readonly string[], nextCursor?: string) => ({
  jsonrpc: '2.0',
  id: 1,
  result: { tools: names.map((name) => ({ name })), ...(nextCursor && { nextCursor }) },
})

/** Starts a server behind a watch for these names. @returns how to ask it, and what it warned of */
async function start(
  named: readonly string[],
  otherTools: 'allow' | 'deny' = 'allow',
  lacks: object = {},
) {
  const warnings: { reason: string; detail: string; hint: string }[] = []
  const warn = (warning: object) => void warnings.push(warning as (typeof warnings)[number])
  const caller = { warn, canStepUp: true, claims: () => ({}), missingScopes: () => [], ...lacks }
  const auth = { extra: withInternals({}, () => caller as never) } as unknown as AuthInfo
  const tools = Object.fromEntries(named.map((name) => [name, { scopes: 'notes.read' }]))
  const watch = watchTools(readGuard([{ scopes: 'notes.read', tools, otherTools }]))
  let body: Body = list
  let answer: RequestListener = (_req, res) => res.end()
  const server = createServer((req, res) => {
    const own = res.end
    watch(Object.assign(req, { body, auth }) as never, res)
    watched.push(res.end !== own)
    answer(req, res)
  })
  const watched: boolean[] = []
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  close = () => void server.close()
  const { port } = server.address() as AddressInfo
  return {
    warnings,
    watched,
    async ask(listener: RequestListener, sent: Body = list): Promise<string> {
      body = sent
      answer = listener
      return (await fetch(`http://127.0.0.1:${port}/`)).text()
    },
  }
}

const json =
  (value: unknown): RequestListener =>
  (_req, res) => {
    res.writeHead(200, { 'content-type': 'application/json' })
    res.end(JSON.stringify(value))
  }

const detail = (names: string) =>
  `scopeGuard names tools that the answer to tools/list did not show: ${names}`

describe('a guard whose names are not those of the tools', () => {
  it.each<[string, RequestListener]>([
    ['JSON', json(result(['add_note', 'list_notes']))],
    ['a batch in JSON', json([{ jsonrpc: '2.0', id: 2, result: {} }, result(['add_note'])])],
    [
      'server-sent events, in pieces and bytes',
      (_req, res) => {
        res.writeHead(200, { 'content-type': 'text/event-stream' })
        res.write('id: 1\ndata: \n\n')
        res.write(Buffer.from(': a comment\n\nevent: message\r\ndata: '))
        const text = JSON.stringify(result(['add_note', 'ünder']))
        for (const byte of Buffer.from(text)) res.write(Uint8Array.of(byte))
        res.end('\n\n')
      },
    ],
    [
      'text in another encoding',
      (_req, res) => {
        res.write(Buffer.from(JSON.stringify(result(['add_note']))).toString('hex'), 'hex')
        res.end(() => undefined)
      },
    ],
  ])('hears of it from an answer in %s', async (_what, listener) => {
    const { ask, warnings } = await start(['add_notes', 'purge'])
    const sent = await ask(listener)
    expect(sent).toContain('add_note')
    expect(warnings).toEqual([
      {
        reason: 'unknown_tools',
        detail: detail('"add_notes" (did you mean "add_note"?), "purge"'),
        hint: expect.stringContaining("otherTools: 'deny' closes it"),
      },
    ])
  })

  it('hears nothing of closing them where they are closed', async () => {
    const { ask, warnings } = await start(['add_notes'], 'deny')
    await ask(json(result(['add_note'])))
    expect(warnings[0]?.hint).not.toContain('deny')
  })

  it('hears it once, and no answer is looked at any more', async () => {
    const { ask, warnings, watched } = await start(['purge'])
    for (let i = 0; i < 3; i++) await ask(json(result(['add_note'])))
    expect(warnings).toHaveLength(1)
    expect(watched).toEqual([true, false, false])
  })

  it('hears nothing of tools that this caller can never call: those may be hidden (mayCall)', async () => {
    const hidden = await start(['audit'], 'allow', { canStepUp: false, missingScopes: () => ['x'] })
    await hidden.ask(json(result(['add_note'])))
    expect(hidden.warnings).toEqual([])
    const shown = await start(['audit'], 'allow', { missingScopes: () => ['x'] })
    await shown.ask(json(result(['add_note'])))
    expect(shown.warnings).toHaveLength(1)
  })

  it('waits for the last page, and counts what all pages showed', async () => {
    const { ask, warnings } = await start(['one', 'two', 'three'])
    await ask(json(result(['one'], 'next')))
    expect(warnings).toEqual([])
    await ask(json(result(['two'])))
    expect(warnings).toMatchObject([{ detail: detail('"three"') }])
  })

  it('learns from no other answer, and gives up when answers say nothing', async () => {
    const { ask, warnings, watched } = await start(['purge'])
    await ask(json(result(['add_note'])), { ...list, method: 'tools/call' })
    expect(watched).toEqual([false])
    await ask(json({ jsonrpc: '2.0', id: 1, error: { code: -32603, message: 'no' } }))
    await ask(json(null))
    await ask(json({ result: { tools: 'none' } }))
    await ask((_req, res) => res.end('x'.repeat(5 * 1024 * 1024)))
    for (let i = 0; i < 20; i++) await ask((_req, res) => res.end('<html>'))
    expect(watched.filter((each) => each)).toHaveLength(20)
    await ask(json(result(['add_note'])))
    expect(warnings).toEqual([])
  })
})

describe('a guard whose names are those of the tools', () => {
  it('hears nothing, from a batch with the request among others too', async () => {
    const { ask, warnings, watched } = await start(['add_note'])
    await ask(json([result(['add_note', 'list_notes'])]), [{ ...list, method: 'ping' }, list])
    expect(watched).toEqual([true])
    await ask(json(result([])))
    expect(watched).toEqual([true, false])
    expect(warnings).toEqual([])
  })

  it('without names looks at nothing', async () => {
    const { ask, watched } = await start([])
    await ask(json(result(['add_note'])))
    expect(watched).toEqual([false])
  })
})
