/** Runs the asynchronous part of a middleware. No framework waits for it, and its rejection would end the process. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Next } from './middleware.js'
import type { Report } from './report.js'

/** Whether the request has been answered, by a timeout of the application for example: no header can be set any more. */
export function isAnswered(res: ServerResponse): boolean {
  return res.headersSent || res.writableEnded
}

/** One run of a middleware. */
export interface MiddlewareRun {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly next: Next
  /** Hears of an error that `next` does not hear of, because the request has been answered. */
  readonly report?: Report
}

/**
 * Runs the asynchronous part of a middleware, and hands its errors to `next`.
 *
 * The `next` that `work` gets goes on at most once, and not at all when the request has been answered in the meantime,
 * because nobody would see what the next handler does. What `next` itself throws is thrown again outside the promise,
 * as if a listener of `node:http` had thrown it: calling `next` a second time could run a handler twice.
 */
export function runAsync(
  { req, res, next, report }: MiddlewareRun,
  work: (next: Next) => Promise<void>,
): void {
  let called = false
  const goOn: Next = (error) => {
    if (called || isAnswered(res)) return
    called = true
    try {
      next(error)
    } catch (thrown) {
      setImmediate(() => {
        throw thrown
      })
    }
  }
  work(goOn).catch((cause: unknown) => {
    if (isAbandoned(req, cause)) return
    if (isAnswered(res)) report?.('failure', { endpoint: 'gate', reason: 'server_error', cause })
    goOn(asError(cause))
  })
}

/** The body cannot be read any more, because the client went away while something else was being waited for. */
export class ClientGone extends Error {
  constructor() {
    super('mcp-entra: the client closed the connection before its request was read')
  }
}

/** Whether an error only means that the client went away. There is nobody to answer, and nothing is wrong. */
export function isAbandoned(req: IncomingMessage, error: unknown): boolean {
  return error instanceof ClientGone || (req.destroyed && !req.complete)
}

/** Makes an error for `next` of anything thrown: `next(undefined)` would go on, and `next('route')` would skip. */
export function asError(thrown: unknown): object {
  if (typeof thrown === 'object' && thrown !== null) return thrown
  return new Error('mcp-entra: something failed without an error', { cause: thrown })
}
