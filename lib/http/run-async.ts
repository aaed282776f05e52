/** What keeps the asynchronous part of a middleware from ending the process: no framework waits for its promise. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Next } from './middleware.js'
import type { Report } from './report.js'

/** Whether somebody has answered, a timeout of the application's, say: no header can be set any more. */
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
 * The `next` it gives to `work` goes on once at most, and never for a request that has been answered meanwhile: a
 * handler would act for nobody. What `next` itself throws is thrown again outside the promise, as if a listener of
 * `node:http` had thrown it: calling `next` a second time for it could run a handler twice.
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
    if (isAbandoned(req)) return
    if (isAnswered(res)) report?.('failure', { endpoint: 'gate', reason: 'server_error', cause })
    goOn(asError(cause))
  })
}

/** Whether the client went away in the middle of its request: nobody is left to answer, and nothing is wrong. */
export function isAbandoned(req: IncomingMessage): boolean {
  return req.destroyed && !req.complete
}

/** An error for `next`, which takes `undefined` for leave to go on, and 'route' for leave to skip what is left. */
export function asError(thrown: unknown): object {
  if (typeof thrown === 'object' && thrown !== null) return thrown
  return new Error('mcp-entra: something failed without an error', { cause: thrown })
}
