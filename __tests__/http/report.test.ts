/** One report, and who pays for it: nobody, unless somebody listens. */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { describe, expect, it, jest } from '@jest/globals'
import type { EventFacts } from '../../lib/http/event-facts.js'
import { type Logger, reporter } from '../../lib/http/report.js'

const facts: EventFacts = { sid: 'a secret', scopes: ['notes.read'] }
const login = { outcome: 'success', milliseconds: 3 } as const

function scene(logger?: Logger) {
  const described: EventFacts[] = []
  const report = reporter({
    logger,
    now: () => 0,
    describe(given) {
      described.push(given)
      return { scopes: given.scopes, user: undefined } as never
    },
  })
  return { described, report }
}

function loggerOf(isLevelEnabled?: Logger['isLevelEnabled']) {
  const lines: unknown[] = []
  const line = (fields: object, message: string) => void lines.push([message, fields])
  const logger: Logger = { info: line, warn: line, error: line }
  return { lines, logger: isLevelEnabled ? { ...logger, isLevelEnabled } : logger }
}

describe('a report', () => {
  it('that nobody hears is not even put together', () => {
    const { report, described } = scene()
    report('login', login, facts)
    report('token', { grantType: 'refresh_token', milliseconds: 1 }, facts)
    report('refusal', { endpoint: 'gate', reason: 'invalid_token' }, facts)
    report('exchange', { endpoint: 'on-behalf-of', outcome: 'success' }, facts)
    expect(described).toEqual([])
  })

  it('reaches a logger, unless it says that it does not write that level', () => {
    const all = loggerOf()
    const heard = scene(all.logger)
    heard.report('login', login, facts)
    expect(all.lines).toEqual([['mcp-entra: login', { scopes: ['notes.read'], ...login }]])
    expect(heard.described).toEqual([facts])
    const quiet = loggerOf((level) => level !== 'info')
    const unheard = scene(quiet.logger)
    unheard.report('login', login, facts)
    expect([quiet.lines, unheard.described]).toEqual([[], []])
    unheard.report('revocation', { reason: 'client' }, facts)
    expect(quiet.lines).toHaveLength(1)
  })

  it('costs nobody a request when the logger throws, and the process hears of it once', () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => {})
    const fail = () => {
      throw new Error('disk full')
    }
    const { report } = scene({ info: fail, warn: fail, error: fail, isLevelEnabled: fail })
    report('login', login, facts)
    report('failure', { endpoint: 'gate', reason: 'server_error' }, facts)
    expect(warn.mock.calls.map(([text]) => text)).toEqual([
      'the logger of entraAuth has thrown: Error: disk full',
    ])
    warn.mockRestore()
  })

  it('reaches a subscriber when the log does not want it, and nobody after he has gone', () => {
    const { report, described } = scene()
    const events: unknown[] = []
    const listen = (event: unknown) => void events.push(event)
    subscribe('mcp-entra:login', listen)
    report('login', login, facts)
    unsubscribe('mcp-entra:login', listen)
    report('login', login, facts)
    expect(events).toEqual([{ scopes: ['notes.read'], ...login }])
    expect(described).toHaveLength(1)
  })

  it('writes warnings and errors to the console by default, and information to nobody', () => {
    const [warn, error] = [jest.spyOn(console, 'warn'), jest.spyOn(console, 'error')]
    warn.mockReturnValue(undefined)
    error.mockReturnValue(undefined)
    const { report } = scene()
    report('login', login)
    report('revocation', { reason: 'client' })
    report('failure', { endpoint: 'gate', reason: 'server_error', cause: new Error('down') })
    expect(warn.mock.calls).toEqual([['mcp-entra: revocation', { reason: 'client' }]])
    expect(error.mock.calls).toEqual([
      ['mcp-entra: failure', { endpoint: 'gate', reason: 'server_error', cause: 'Error: down' }],
    ])
    warn.mockRestore()
    error.mockRestore()
  })
})
