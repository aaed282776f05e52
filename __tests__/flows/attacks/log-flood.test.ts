/** What strangers can write into the operator's log: a little, at a level of its own, and nothing of it lost to events. */
import { afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage, type Storage } from 'mcp-entra'
import { type DocumentServer, startDocumentServer } from '../../support/client-documents.js'
import type { Entra } from '../../support/host.js'
import { getNotes, login, postForm, refresh, register } from '../../support/oauth-client.js'
import {
  approve,
  clientAnswer,
  hear,
  openConsent,
  signInAtEntra,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../../support/proxy.js'

interface Line extends Record<string, unknown> {
  readonly level: 'info' | 'warn' | 'error'
  readonly message: string
}

const crowd = 200
const clock = testClock()
const lines: Line[] = []
let entra: Entra
let documents: DocumentServer
let proxy: TestProxy
let broken = false
/** A client that anybody may have registered. */
let known: string

/** Lines that an operator sees who has set up nothing: the default log has no others. */
const loud = () => lines.filter(({ level }) => level !== 'info')
const failures = hear('mcp-entra:failure') as Record<string, unknown>[]

beforeAll(async () => {
  entra = await startTestEntra()
  documents = await startDocumentServer()
  const keep = (level: Line['level']) => (fields: object, message: string) =>
    void lines.push({ ...fields, level, message })
  proxy = await startProxy(entra, {
    now: clock.now,
    storage: brittle(memoryStorage()),
    clientMetadata: documents.options,
    logger: { info: keep('info'), warn: keep('warn'), error: keep('error') },
  })
  known = await register(proxy.url)
})
afterEach(() => {
  broken = false
  entra.clearFaults()
  // Each test has a minute of its own.
  clock.advance(61)
  lines.length = 0
  failures.length = 0
})

function brittle({ get, set, add, take }: Storage): Storage {
  const guarded =
    <A extends unknown[], T>(operation: (...args: A) => Promise<T>) =>
    (...args: A) =>
      broken ? Promise.reject(new Error('connection lost')) : operation(...args)
  return { get: guarded(get), set: guarded(set), add: guarded(add), take: guarded(take) }
}

const times = async (count: number, each: (i: number) => Promise<unknown>) => {
  for (let i = 0; i < count; i += 10) {
    await Promise.all(Array.from({ length: Math.min(10, count - i) }, (_, j) => each(i + j)))
  }
}

let hosts = 0
const failingDocument = () => documents.serve(`/down/${hosts++}`, { status: 503 })

const floods: [string, () => Promise<(i: number) => Promise<unknown>>][] = [
  [
    'documents that cannot be fetched, at /authorize, /token and /revoke',
    async () => async (i) => {
      const clientId = failingDocument()
      if (i % 3 === 0) return openConsent(proxy.url, { clientId })
      if (i % 3 === 1) return refresh(proxy.url, { refresh_token: 'x', clientId })
      return postForm(`${proxy.url}/revoke`, { token: 'x', client_id: clientId })
    },
  ],
  [
    'answers of Entra that their own browser made up',
    async () => async (i) => {
      const { browser, state } = await approve(proxy.url, { clientId: known })
      const query = new URLSearchParams({
        state,
        error: ['server_error', 'temporarily_unavailable', 'invalid_client', 'x'][i % 4] ?? '',
        error_description: `AADSTS${7_000_000 + i}: ${'AADSTS700016 '.repeat(500)}`,
      })
      return clientAnswer(await browser.fetchOnce(`${proxy.url}/auth/callback?${query}`))
    },
  ],
  [
    'codes of Entra that their own browser made up',
    async () => {
      const body = JSON.stringify({ error: 'invalid_request', error_codes: [9002313] })
      entra.fault({ at: 'token', grant: 'authorization_code', status: 400, body })
      return async () => {
        const { browser, state } = await approve(proxy.url, { clientId: known })
        return browser.fetchOnce(`${proxy.url}/auth/callback?code=x&state=${state}`)
      }
    },
  ],
]

describe('strangers who cause failures', () => {
  it.each(floods)('by %s write 20 lines at most, none of them an error', async (_what, prepare) => {
    const each = await prepare()
    await times(crowd, each)
    expect(loud().length).toBeGreaterThanOrEqual(1)
    expect(loud().length).toBeLessThanOrEqual(20)
    expect(loud().map(({ level }) => level)).not.toContain('error')
    expect(loud()[0]).toMatchObject({ message: 'mcp-entra: failure', origin: 'stranger' })
    for (const line of lines) expect(JSON.stringify(line).length).toBeLessThan(1000)
    // Whoever listens to the events misses none.
    expect(failures).toHaveLength(crowd)
    expect(failures[crowd - 1]).toMatchObject({ origin: 'stranger', reason: expect.any(String) })
    // And a minute later the log says how many there were.
    const written = loud().length
    lines.length = 0
    clock.advance(61)
    await each(0)
    expect(loud()[0]).toMatchObject({
      level: 'warn',
      message: 'mcp-entra: failures that were not logged one by one',
      origin: 'stranger',
      count: crowd - written,
    })
    expect(loud()[1]).toMatchObject({ message: 'mcp-entra: failure' })
  })

  it('by nothing else: junk at the gate and the endpoints is no failure at all', async () => {
    await times(20, async (i) => {
      await getNotes(proxy.url, `a.${i}.c`)
      await refresh(proxy.url, { refresh_token: 'x', clientId: `unknown ${i}` })
      await fetch(`${proxy.url}/auth/callback?code=x&state=${i}`)
      await fetch(`${proxy.url}/authorize?client_id=${i}`)
      const headers = { 'content-encoding': 'br', 'content-type': 'application/json' }
      await fetch(`${proxy.url}/register`, { method: 'POST', headers, body: 'x' })
    })
    expect(loud()).toEqual([])
    expect(failures).toEqual([])
  })

  it('cannot drown a failure of the operator: each one is there, as an error', async () => {
    const session = await login(proxy.url)
    lines.length = 0
    await times(20, () => openConsent(proxy.url, { clientId: failingDocument() }))

    entra.fault({ at: 'token', grant: 'authorization_code', error: 7000215 })
    const signIns = 12
    await times(signIns, async () => {
      const { browser, callback } = await signInAtEntra(proxy.url)
      await browser.fetchOnce(callback)
    })
    broken = true
    const lost = 15
    await times(lost, () => refresh(proxy.url, session))
    broken = false

    const errors = lines.filter(({ level }) => level === 'error')
    const refused = errors.filter(({ endpoint }) => endpoint === 'callback')
    expect(refused).toHaveLength(signIns)
    for (const line of refused) {
      expect(line).toMatchObject({ codes: [7000215], hint: expect.stringMatching(/secret/) })
      expect(line).not.toHaveProperty('origin')
    }
    // The store fails for the same reason that a document does: `temporarily_unavailable`.
    const away = errors.filter(({ endpoint }) => endpoint === '/token')
    expect(away).toHaveLength(lost)
    for (const line of away) expect(line).toMatchObject({ reason: 'temporarily_unavailable' })
  })
})
