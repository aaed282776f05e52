/** What the operator sees: `diagnostics_channel` events, and a line in the log for those that matter. */
import { channel } from 'node:diagnostics_channel'
import { logLimit } from './log-limit.js'

/** Tells the operator what happened: reason codes, durations and correlation ids, never a secret. */
export type Report = (name: EventName, event: ReportedEvent) => void

/** What happened, in fields. */
export interface ReportedEvent {
  /**
   * Anybody can bring this about without having logged in. Such a failure is a warning in the log, and there
   * are so many and no more; the operator's own failures are errors, and each one is there.
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

/** Only what somebody has to act on, when the application brought no logger. */
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
 * Publishes every event, and writes every line but for what strangers cause: of that, ten lines a minute for
 * each reason, and how many were left out. The failures of the operator are not limited, however alike they
 * are: each has ids and a time that somebody may have to follow up.
 *
 * @param logger default: warnings and errors on the console
 * @param now milliseconds since the epoch
 */
export function reporter(
  logger: Logger = consoleLogger,
  now: () => number = () => Date.now(),
): Report {
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

/** Errors as name and message: a stack is no field, and what an error carries besides is not ours to log. */
function readable(event: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const entries = Object.entries(event).filter(([, value]) => value !== undefined)
  return Object.fromEntries(
    entries.map(([name, value]) => [
      name,
      value instanceof Error ? `${value.name}: ${value.message}` : value,
    ]),
  )
}
