/** Request bodies: read once and bounded, or taken from a parser that the application mounted before us. */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { OAuthError } from '../oauth/errors.js'
import { type Params, repeatedParam, singleParams } from '../oauth/params.js'
import { JsonError, parseJson } from './json-text.js'
import { ClientGone } from './run-async.js'

/** A request that may have been through a body parser. */
export type ParsedRequest = IncomingMessage & { body?: unknown }

/** Longest body of an OAuth endpoint, in bytes. */
export const oauthBodyLimit = 64 * 1024

/** The media type, without its parameters, in lower case. */
export function mediaType(req: IncomingMessage): string {
  return (req.headers['content-type'] ?? '').replace(/;.*$/, '').trim().toLowerCase()
}

/**
 * Reads a form.
 *
 * @param limit bytes
 * @throws OAuthError `invalid_request`: for another media type, a body that is too large, or a repeated parameter
 * @see RFC 6749 section 4.1.3
 */
export async function readForm(req: ParsedRequest, limit: number): Promise<Params> {
  if (mediaType(req) !== 'application/x-www-form-urlencoded') {
    throw new OAuthError('invalid_request', 'Send application/x-www-form-urlencoded.')
  }
  if (isParsed(req) && !isText(req.body)) return singleParams(parsedEntries(req.body))
  return singleParams(new URLSearchParams(await readText(req, limit)))
}

/**
 * Reads a JSON body.
 *
 * @param limit bytes
 * @throws OAuthError `invalid_request`: for another media type, a body that is too large, or text that
 *   {@link parseJson} refuses
 */
export async function readJson(req: ParsedRequest, limit: number): Promise<unknown> {
  if (mediaType(req) !== 'application/json') {
    throw new OAuthError('invalid_request', 'Send application/json.')
  }
  if (isParsed(req) && !isText(req.body)) return req.body
  if (!isPlainUtf8(req)) {
    throw new OAuthError('invalid_request', 'Send JSON in UTF-8, uncompressed.')
  }
  try {
    return parseJson(await readUtf8(req, limit))
  } catch (error) {
    if (!(error instanceof JsonError)) throw error
    throw new OAuthError('invalid_request', error.message, { cause: error.cause ?? error })
  }
}

/**
 * Whether a body that is still to be parsed declares to be UTF-8 and not compressed. If it declared something else, a
 * parser that goes by this would read another body than we do. `express.text` and `express.raw` have decompressed it.
 *
 * @see RFC 8259 section 8.1
 */
export function isPlainUtf8(req: ParsedRequest): boolean {
  if (isParsed(req) && typeof req.body === 'string') return true
  const { 'content-type': type = '', 'content-encoding': encoding = '' } = req.headers
  const charsets = [...type.matchAll(/;\s*charset\s*=\s*"?([^";\s]*)/gi)]
  if (!charsets.every(([, charset = '']) => /^utf-?8$/i.test(charset))) return false
  return isParsed(req) || /^(?:identity)?$/i.test(encoding)
}

/**
 * Reads a body as text. After `express.text` it is text already.
 *
 * @param limit bytes
 * @throws OAuthError `invalid_request` with status 413 when there is more
 * @throws JsonError for bytes that are not UTF-8
 */
export async function readUtf8(req: ParsedRequest, limit: number): Promise<string> {
  if (isParsed(req) && typeof req.body === 'string') return req.body
  const bytes = isParsed(req) && Buffer.isBuffer(req.body) ? req.body : await readBody(req, limit)
  if (!isUtf8(bytes)) throw new JsonError('syntax', 'The body is not UTF-8.')
  return bytes.toString('utf8')
}

/**
 * Whether `req.body` is the body. Parsers of Express 4 leave an empty object on requests that are not theirs,
 * so it counts only when there is nothing left to read.
 */
export function isParsed(req: ParsedRequest): boolean {
  const allRead = req.readableEnded || (req.complete && req.readableLength === 0)
  return req.body !== undefined && allRead
}

/** Whether `express.text` or `express.raw` has read the body without parsing it. */
function isText(body: unknown): body is string | Buffer {
  return typeof body === 'string' || Buffer.isBuffer(body)
}

/** The parameters of a form that `express.urlencoded` has parsed. A repeated parameter is an array there. */
function parsedEntries(body: unknown): [string, string][] {
  if (typeof body !== 'object' || body === null) return []
  return Object.entries(body).map(([name, value]) => {
    if (typeof value === 'string') return [name, value]
    throw repeatedParam(name)
  })
}

async function readText(req: ParsedRequest, limit: number): Promise<string> {
  const bytes = isParsed(req) && isText(req.body) ? req.body : await readBody(req, limit)
  return bytes.toString('utf8')
}

/**
 * Reads a whole body that no parser has read.
 *
 * @param limit bytes
 * @throws OAuthError `invalid_request` with status 413 when there is more
 * @throws ClientGone
 * @throws TypeError when something has read it and kept it for itself
 */
export async function readBody(req: IncomingMessage, limit: number): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > limit) throw tooLarge(limit)
  if (req.destroyed && !req.readableEnded) throw new ClientGone()
  if (req.readableEnded) {
    throw new TypeError('mcp-entra: the request body was consumed before, and req.body is not set')
  }
  return Buffer.concat(await readChunks(req, limit))
}

/**
 * Listens to the stream, because an async iterator over it costs 8 µs more, of 100 for the whole request. The rest of a
 * body that is too long flows on and is dropped, so the connection stays of use.
 */
function readChunks(req: IncomingMessage, limit: number): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const take = (chunk: Buffer) => {
      length += chunk.length
      if (length > limit) return settle(tooLarge(limit))
      chunks.push(chunk)
    }
    const settle = (error?: Error) => {
      req.off('data', take).off('end', settle).off('error', settle).off('close', close)
      if (error) reject(error)
      else resolve(chunks)
    }
    const close = () => settle(new Error('mcp-entra: the request ended in the middle of its body'))
    req.on('data', take).on('end', settle).on('error', settle).on('close', close)
    // Something in front may have paused it.
    req.resume()
  })
}

function tooLarge(limit: number): OAuthError {
  return new OAuthError('invalid_request', `The body is larger than ${limit} bytes.`, {
    status: 413,
  })
}
