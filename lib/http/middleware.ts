/** Middleware as Express 4.18+, Express 5 and Connect know it, on the types of `node:http` alone. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request as Express and Connect hand it over. */
export type MiddlewareRequest = IncomingMessage & {
  originalUrl?: string | undefined
  body?: unknown
}

/** A middleware for Express 4.18+, Express 5 and Connect. */
export type Middleware = (req: MiddlewareRequest, res: ServerResponse, next: Next) => void

/** Goes on to the next handler, or with an error to the error handlers. */
export type Next = (error?: unknown) => void
