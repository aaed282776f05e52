import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { bearerChallenge } from '../../lib/oauth/challenge.js'

const names = ['error', 'error_description', 'scope', 'resource_metadata', 'claims']
const printable = fc.string({ unit: fc.constantFrom(...printableAscii()) })
const paramsOf = (value: fc.Arbitrary<string>) =>
  fc.uniqueArray(fc.tuple(fc.constantFrom(...names), value), { selector: ([name]) => name })

describe('a Bearer challenge', () => {
  it('is the scheme alone when there is nothing to say', () => {
    expect(bearerChallenge({})).toBe('Bearer')
    expect(bearerChallenge({ error: undefined })).toBe('Bearer')
  })

  it('has its parameters in the order they are given, undefined ones left out', () => {
    expect(
      bearerChallenge({
        error: 'insufficient_scope',
        error_description: undefined,
        scope: 'notes.read notes.write',
        resource_metadata: 'https://mcp.contoso.com/.well-known/oauth-protected-resource/mcp',
      }),
    ).toBe(
      'Bearer error="insufficient_scope", scope="notes.read notes.write", resource_metadata="https://mcp.contoso.com/.well-known/oauth-protected-resource/mcp"',
    )
  })

  it('quotes quotes and backslashes (RFC 9110 section 5.6.4)', () => {
    expect(bearerChallenge({ a: 'say "\\"' })).toBe('Bearer a="say \\"\\\\\\""')
  })

  it('comes back from a parser of quoted strings as it went in', () => {
    fc.assert(
      fc.property(paramsOf(printable), (params) => {
        expect(parseChallenge(bearerChallenge(Object.fromEntries(params)))).toEqual(params)
      }),
    )
  })

  it('cannot be broken out of: any value stays one value, in characters a header may carry', () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom('"', '\\', '\r', '\n', ',', '=', ' ', '\0', 'é', 'a') }),
    )
    fc.assert(
      fc.property(paramsOf(hostile), (params) => {
        const header = bearerChallenge(Object.fromEntries(params))
        expect(header).toMatch(/^[\x20-\x7e]*$/)
        expect(parseChallenge(header)).toEqual(
          params.map(([name, value]) => [name, value.replace(/[^\x20-\x7e]/g, ' ')]),
        )
        expect(new Headers({ 'www-authenticate': header }).get('www-authenticate')).toBe(header)
      }),
    )
  })
})

function printableAscii(): string[] {
  return Array.from({ length: 0x7f - 0x20 }, (_, index) => String.fromCharCode(0x20 + index))
}

/** One challenge with quoted parameters, by the grammar of RFC 9110 sections 5.6.4 and 11.6.1, a character at a time. */
function parseChallenge(header: string): [string, string][] {
  if (header === 'Bearer') return []
  if (!header.startsWith('Bearer ')) throw new Error('no Bearer challenge')
  const params: [string, string][] = []
  let at = 'Bearer '.length
  for (;;) {
    const equals = header.indexOf('="', at)
    const name = header.slice(at, equals)
    if (!/^[a-z_]+$/.test(name)) throw new Error(`no parameter name: ${name}`)
    at = equals + 2
    let value = ''
    for (; header[at] !== '"'; at += 1) {
      if (at >= header.length) throw new Error('unterminated quoted string')
      if (header[at] === '\\') at += 1
      value += header[at]
    }
    params.push([name, value])
    at += 1
    if (at === header.length) return params
    if (!header.startsWith(', ', at)) throw new Error(`junk after a parameter: ${header.slice(at)}`)
    at += 2
  }
}
