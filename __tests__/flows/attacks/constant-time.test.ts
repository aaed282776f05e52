/** Secrets are never compared with `===`: a search through the source. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'

const lib = fileURLToPath(new URL('../../../lib', import.meta.url))
const sources = readdirSync(lib, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.startsWith('testing'))
  .map((path) => ({ path, text: readFileSync(join(lib, path), 'utf8') }))

/**
 * What is no guess at a secret: settings of our own, a constant of RFC 7523, two values of which a stranger gave
 * neither, and a cached token held against one that ends in the same 256 bits of signature already.
 */
const harmless = [
  'secret !== secret.trim()',
  'type !== jwtBearerAssertion',
  'upstream.accessToken !== expired',
  'grant.upstream?.accessToken === assertion.token',
  '?.sid === sid',
  'entry.assertion !== context.rejected',
  'next.assertion === proof.assertion',
  'entry?.token !== token',
  'refusal?.token !== token',
]
const secretName =
  /(?:secret|token|verifier|challenge|nonce|state|signature|hmac|digest|cookie|assertion|password|jti|sid|code)$/i
const literal = /^(?:['"`\d]|undefined\b|null\b|true\b|false\b|typeof\b)/

/** Comparisons in which neither side is a literal and one is called like a secret. */
function suspicious(text: string): string[] {
  const operand = String.raw`[\w$.?]+(?:\([^()]*\))?|'[^']*'`
  const comparison = new RegExp(`(typeof )?(${operand})\\s*[!=]==?\\s*(${operand})`, 'g')
  return [...text.matchAll(comparison)]
    .filter(([, type, left = '', right = '']) => {
      if (type !== undefined || literal.test(left) || literal.test(right)) return false
      return [left, right].some((side) => secretName.test(side.replace(/\(.*\)$/, '')))
    })
    .map(([all]) => all)
    .filter((comparison) => !harmless.includes(comparison))
}

describe('the source', () => {
  it('never compares a secret with ===', () => {
    const found = sources.flatMap(({ path, text }) =>
      suspicious(text).map((comparison) => `${path}: ${comparison}`),
    )
    expect(found).toEqual([])
  })

  it('compares secrets in constant time where it does compare them', () => {
    const users = sources.filter(({ text }) => /constantTimeEqual\(/.test(text))
    expect(users.map(({ path }) => path)).toEqual(
      expect.arrayContaining([
        'crypto/hashing.ts',
        'entra/verify.ts',
        'oauth/pkce.ts',
        'tokens/clients.ts',
      ]),
    )
  })

  it('would be found out', () => {
    for (const line of [
      'if (secret === right) return',
      'params.state !== login.state',
      'sha256(verifier) === record.codeChallenge',
      'given.client_secret == client.secret',
    ]) {
      expect(suspicious(line)).toHaveLength(1)
    }
    for (const line of [
      'secret === undefined',
      "typeof token !== 'string'",
      "error.code === 'invalid_client'",
      'record.client !== sha256(client.id)',
    ]) {
      expect(suspicious(line)).toEqual([])
    }
  })
})
