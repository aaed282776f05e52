/** Addresses that a browser ended up at: the redirect URI with an error, or Microsoft's page for a code. */
import { aadstsCodesIn } from '../../entra/aadsts-codes.js'
import { outcomeByError } from '../../entra/error-codes.js'
import { UsageError } from '../usage-error.js'
import { explainCode, kinds } from './code.js'
import type { Explanation, Fact } from './explanation.js'

/** @see RFC 6749 section 4.1.2.1 */
export function explainErrorUrl(url: URL): Explanation {
  const params = new URLSearchParams(`${url.search.slice(1)}&${url.hash.slice(1)}`)
  const error = params.get('error')
  if (error === null) return explainOther(url, params)
  const description = params.get('error_description') ?? ''
  const facts: Fact[] = [
    ['error', error],
    ...(description === '' ? [] : [['in words', description.split(/\r?\n/, 1)[0] ?? ''] as const]),
    ['came to', url.origin + url.pathname],
    ...['iss', 'error_subcode'].flatMap((name): Fact[] => {
      const value = params.get(name)
      return value === null ? [] : [[name, value]]
    }),
  ]
  const [code] = aadstsCodesIn(description)
  const known = code === undefined ? undefined : explainCode(code)
  const kind = outcomeByError.get(error)?.kind
  return {
    kind: 'error-url',
    summary: known?.summary ?? `The login failed: ${kind === undefined ? error : kinds[kind][0]}`,
    facts: [...facts, ...(known?.facts ?? [])],
    remedies: known?.remedies ?? [],
  }
}

function explainOther(url: URL, params: URLSearchParams): Explanation {
  const code = params.get('code') ?? ''
  // Microsoft's own page: https://login.microsoftonline.com/error?code=50011
  if (url.pathname.endsWith('/error') && /^\d{4,8}$/.test(code)) return explainCode(Number(code))
  if (code !== '') {
    return {
      kind: 'error-url',
      summary: 'This is no error: the login succeeded, and the address carries its code.',
      facts: [['came to', url.origin + url.pathname]],
      remedies: ['The code is a secret for a minute or two: do not paste it anywhere.'],
    }
  }
  throw new UsageError('explain: this address carries neither an error nor a code')
}
