/** What the operator sees: `diagnostics_channel` events, and a line in the log for those that matter. */
import { channel } from 'node:diagnostics_channel'
import type { Clock } from '../async/clock.js'
import type { EventFacts } from './event-facts.js'
import type { EventName, EventSubject, McpEntraEvents } from './events.js'
import { logLimit } from './log-limit.js'

/**
 * Reports to the operator what happened: reason codes, durations and correlation ids, never a secret.
 *
 * @param facts whom and what it is about. They may hold secrets; what an event shows of them is made when it is heard
 */
export type Report = <N extends EventName>(
  name: N,
  event: ReportedEvent<N>,
  facts?: EventFacts,
) => void

/** What happened, in fields. The subject of the event is made of the facts. */
export type ReportedEvent<N extends EventName> = N extends EventName
  ? Maybe<Omit<McpEntraEvents[N], Exclude<keyof EventSubject, keyof EntraIds>>>
  : never

type EntraIds = Pick<EventSubject, 'correlationId' | 'traceId'>
type Maybe<T> = { readonly [F in keyof T]: T[F] | undefined }

/** A logger in pino's shape. */
export interface Logger {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** Whether lines of this level are written. Without it all are: their fields are made in any case. */
  isLevelEnabled?(level: 'info' | 'warn' | 'error'): boolean
}

type Level = 'info' | 'warn' | 'error'

/** Used when the application has no logger: writes only what somebody has to act on. */
const consoleLogger: Logger = {
  info: () => undefined,
  warn: (fields, message) => console.warn(message, fields),
  error: (fields, message) => console.error(message, fields),
  isLevelEnabled: (level) => level !== 'info',
}

const levels: Readonly<Record<EventName, Level>> = {
  login: 'info',
  token: 'info',
  refusal: 'info',
  exchange: 'info',
  revocation: 'warn',
  failure: 'error',
  warning: 'warn',
}

const channels = Object.fromEntries(
  (Object.keys(levels) as EventName[]).map((name) => [name, channel(`mcp-entra:${name}`)]),
) as Record<EventName, ReturnType<typeof channel>>

/** Options of {@link reporter}. */
export interface ReporterOptions {
  /** Default: warnings and errors on the console. */
  readonly logger?: Logger | undefined
  readonly now: Clock
  /** Makes of the facts what an event may show. Called only for an event that somebody hears. */
  readonly describe: (facts: EventFacts) => { readonly [F in keyof EventSubject]: unknown }
}

/**
 * Makes a report that publishes every event and logs it. Of failures that strangers cause, ten a minute are logged for
 * each reason, and then how many were left out. The operator's own failures are all logged, however similar: each has
 * ids and a time that somebody may have to follow up.
 */
export function reporter({
  logger: given = consoleLogger,
  now,
  describe,
}: ReporterOptions): Report {
  const logger = harmless(given)
  const isWanted = (level: Level) => logger.isLevelEnabled(level)
  const isWithinLimit = logLimit({
    now,
    onLeftOut: (reason, count) =>
      logger.warn(
        { origin: 'stranger', reason, count },
        'mcp-entra: failures that were not logged one by one',
      ),
  })
  return (name, event, facts) => {
    const limited = name === 'failure' && 'origin' in event && event.origin === 'stranger'
    const level = limited ? 'warn' : levels[name]
    const isHeard = channels[name].hasSubscribers
    const isWritten = isWanted(level) && (!limited || isWithinLimit(String(event.reason)))
    if (!isHeard && !isWritten) return
    const fields = { ...(facts && readable(describe(facts))), ...readable(event) }
    if (isHeard) channels[name].publish(fields)
    if (isWritten) logger[level](fields, `mcp-entra: ${name}`)
  }
}

/** A logger that fails costs nobody a request. The process hears of the first failure, as of a deprecation. */
function harmless(logger: Logger): Required<Logger> {
  let isTold = false
  const attempt = <T>(otherwise: T, work: () => T): T => {
    try {
      return work()
    } catch (error) {
      if (!isTold)
        process.emitWarning(`the logger of entraAuth has thrown: ${error}`, 'McpEntraWarning')
      isTold = true
      return otherwise
    }
  }
  const write = (level: Level) => (fields: object, message: string) =>
    attempt(undefined, () => logger[level](fields, message))
  return {
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    isLevelEnabled: (level) => attempt(true, () => logger.isLevelEnabled?.(level) ?? true),
  }
}

/** What a listener may see, and do with it as it likes. */
function readable(event: object): Record<string, unknown> {
  const entries = Object.entries(event).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries.map(([name, value]) => [name, shown(value)]))
}

/**
 * Of an error its name and message: its other properties may hold secrets. Of a list a copy: it may be one by which
 * callers are judged.
 */
function shown(value: unknown): unknown {
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return Array.isArray(value) ? [...value] : value
}
