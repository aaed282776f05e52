/** What the operator sees: `diagnostics_channel` events, and a line in the log for those that matter. */
import { channel } from 'node:diagnostics_channel'
import type { Clock } from '../async/clock.js'
import { logLimit } from './log-limit.js'

/** Reports to the operator what happened: reason codes, durations and correlation ids, never a secret. */
export type Report = (name: EventName, event: ReportedEvent) => void

/** What happened, in fields. */
export interface ReportedEvent {
  /**
   * Set when anybody can cause this without a login. Such failures are warnings in the log, limited in number. The
   * operator's own failures are errors, and each of them is logged.
   */
  readonly origin?: 'stranger' | undefined
  readonly [field: string]: unknown
}

/** Names of the `diagnostics_channel` events, after `mcp-entra:`. */
export type EventName = 'login' | 'token' | 'refusal' | 'exchange' | 'revocation' | 'failure'

/** A logger in pino's shape. */
export interface Logger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}

/** Used when the application has no logger: writes only what somebody has to act on. */
const consoleLogger: Logger = {
  info: () => undefined,
  warn: (fields, message) => console.warn(message, fields),
  error: (fields, message) => console.error(message, fields),
}

const levels: Readonly<Record<EventName, keyof Logger>> = {
  login: 'info',
  token: 'info',
  refusal: 'info',
  exchange: 'info',
  revocation: 'warn',
  failure: 'error',
}

const channels = Object.fromEntries(
  (Object.keys(levels) as EventName[]).map((name) => [name, channel(`mcp-entra:${name}`)]),
) as Record<EventName, ReturnType<typeof channel>>

/**
 * Makes a report that publishes every event and logs it. Of failures that strangers cause, ten a minute are logged for
 * each reason, and then how many were left out. The operator's own failures are all logged, however similar: each has
 * ids and a time that somebody may have to follow up.
 *
 * @param logger default: warnings and errors on the console
 */
export function reporter(logger: Logger = consoleLogger, now: Clock = () => Date.now()): Report {
  const isWritten = logLimit({
    now,
    onLeftOut: (reason, count) =>
      logger.warn(
        { origin: 'stranger', reason, count },
        'mcp-entra: failures that were not logged one by one',
      ),
  })
  return (name, event) => {
    const fields = readable(event)
    if (channels[name].hasSubscribers) channels[name].publish(fields)
    const limited = name === 'failure' && event.origin === 'stranger'
    if (!limited) logger[levels[name]](fields, `mcp-entra: ${name}`)
    else if (isWritten(String(event.reason))) logger.warn(fields, `mcp-entra: ${name}`)
  }
}

/** Replaces errors by their name and message: their other properties may hold secrets. */
function readable(event: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(event).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      value instanceof Error ? `${value.name}: ${value.message}` : value,
    ]),
  )
}
