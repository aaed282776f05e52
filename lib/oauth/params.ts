/** Request parameters: each at most once, bounded in length, without control characters. */
import { OAuthError } from './errors.js'

/** Parameters by name; a parameter sent without a value counts as not sent (RFC 6749 section 3.1). */
export type Params = Readonly<Record<string, string | undefined>>

/** Longest value of any parameter, in characters. Longer ones are refused, never cut. */
export const longestParam = 8192

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const controls = /[\u0000-\u001f\u007f]/

/**
 * Reads parameters, from a query or a form.
 *
 * @throws OAuthError `invalid_request` for a parameter sent twice, too long, or with control characters
 * @see RFC 6749 sections 3.1 and 3.2: parameters must not be included more than once
 */
export function singleParams(entries: Iterable<readonly [string, string]>): Params {
  const params: Record<string, string | undefined> = Object.create(null)
  const seen = new Set<string>()
  for (const [name, value] of entries) {
    if (name.length > longestParam) {
      throw badRequest(`a parameter has a name longer than ${longestParam} characters`)
    }
    if (seen.has(name)) throw repeatedParam(name)
    if (value.length > longestParam)
      throw badRequest(`${showName(name)} is longer than ${longestParam} characters`)
    if (controls.test(name) || controls.test(value))
      throw badRequest('a parameter has control characters')
    seen.add(name)
    if (value !== '') params[name] = value
  }
  return params
}

/** @throws OAuthError `invalid_request` that names the missing parameter */
export function required(params: Params, name: string): string {
  const value = params[name]
  if (value === undefined) throw badRequest(`"${name}" is missing`)
  return value
}

/** The error for a parameter that was sent more than once. */
export function repeatedParam(name: string): OAuthError {
  return badRequest(`${showName(name)} is given more than once`)
}

/** A name, if it looks like one. Other text could be a stranger's message, shown on a page of ours. */
function showName(name: string): string {
  return /^[\w.-]{1,40}$/.test(name) ? `"${name}"` : 'a parameter'
}

function badRequest(what: string): OAuthError {
  return new OAuthError('invalid_request', what.replaceAll('"', "'"))
}
