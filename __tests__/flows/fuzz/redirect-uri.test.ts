/** Redirect URIs against an oracle that parses where the code compares text. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { OAuthError } from '../../../lib/oauth/errors.js'
import {
  checkRedirectUri,
  knownCustomSchemes,
  matchesRegistration,
  withParams,
} from '../../../lib/oauth/redirect-uri.js'
import { bounded } from '../../support/fuzz.js'

const some = (...choices: string[]) => fc.constantFrom(...choices)
const parts = {
  scheme: some(
    'http',
    'http',
    'http',
    'http',
    'https',
    'cursor',
    'HTTP',
    'javascript',
    'data',
    'blob:http',
    'x',
  ),
  slashes: some('://', '://', '://', '://', '://', '://', '://', ':', ':/', ':///', ':\\\\'),
  user: some('', '', '', '', '', '', '', 'u@', 'u:p@', '@', '%40', 'localhost:1@', 'localhost#@'),
  host: some(
    'localhost',
    '127.0.0.1',
    '[::1]',
    'localhost.',
    'LOCALHOST',
    '127.1',
    '0x7f.1',
    '2130706433',
    '127.0.0.2',
    'app.localhost',
    'localhost.evil.example',
    'client.example',
    '[::ffff:127.0.0.1]',
    'ⓛocalhost',
    '',
  ),
  port: some('', '', ':80', ':8080', ':1', ':65535', ':65536', ':0', ':00', ':', ':1a', ':-1'),
  path: some('', '/', '/cb', '/cb', '/CB', '/cb/', '//cb', '/a/../cb', '/%2e%2e/cb', '/%63b', ';x'),
  query: some('', '', '?', '?a=1', '?a=2', '?code=1', '?a=1&a=1', '?iss=x', '?%63ode=1'),
  fragment: some('', '', '', '', '#', '#x', '%23x'),
}
const order = ['scheme', 'slashes', 'user', 'host', 'port', 'path', 'query', 'fragment'] as const
const written = (values: Record<keyof typeof parts, string>) =>
  order.map((name) => values[name]).join('')
const uris = fc.oneof(
  { weight: 8, arbitrary: fc.record(parts).map(written) },
  { weight: 1, arbitrary: fc.webUrl({ withQueryParameters: true, withFragments: true }) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
)
/** Two URIs that differ in one or two parts: near misses are the rule. */
const pairs = fc
  .tuple(
    fc.record(parts),
    fc.record(parts),
    fc.shuffledSubarray([...order], { minLength: 1, maxLength: 2 }),
  )
  .map(([first, other, changed]) => {
    const second = { ...first }
    for (const name of changed) second[name] = other[name]
    return [written(first), written(second)] as const
  })

const loopback = ['localhost', '127.0.0.1', '[::1]']

/** What a browser would make of it, without its port. */
function portless(uri: string): string | undefined {
  if (!URL.canParse(uri)) return undefined
  const url = new URL(uri)
  if (url.protocol !== 'http:' || !loopback.includes(url.hostname)) return undefined
  url.port = ''
  return url.href
}

function accepted(uri: string, type: 'native' | 'web'): boolean {
  try {
    checkRedirectUri(uri, type, knownCustomSchemes)
    return true
  } catch (error) {
    if (error instanceof OAuthError && error.code === 'invalid_redirect_uri') return false
    throw error
  }
}

describe('a requested redirect URI', () => {
  it('never matches what a browser would take anywhere else but to another port of this device', () => {
    fc.assert(
      fc.property(pairs, ([requested, registered]) => {
        if (requested === registered || !matchesRegistration(requested, [registered])) return
        expect(portless(requested)).toBeDefined()
        expect(portless(requested)).toBe(portless(registered))
      }),
      bounded,
    )
  })

  it('matches as the parser says, where text and URL are the same thing', () => {
    const canonical = (uri: string) => URL.canParse(uri) && new URL(uri).href === uri
    fc.assert(
      fc.property(pairs, ([requested, registered]) => {
        if (!canonical(requested) || !canonical(registered)) return
        const user = new URL(requested).username + new URL(registered).username
        const oracle =
          requested === registered ||
          (user === '' &&
            portless(requested) !== undefined &&
            portless(requested) === portless(registered))
        expect(matchesRegistration(requested, [registered])).toBe(oracle)
      }),
      bounded,
    )
  })
})

describe('a redirect URI that may be registered', () => {
  it('leads to a host by https, to this device by http, or to a scheme on the list', () => {
    fc.assert(
      fc.property(uris, fc.constantFrom('native', 'web'), (uri, type) => {
        if (!accepted(uri, type)) return
        const url = new URL(uri)
        const here = /^(?:localhost\.?|.*\.localhost\.?|127(?:\.\d+){3}|\[::1\])$/.test(
          url.hostname,
        )
        expect([url.username, url.password, url.hash]).toEqual(['', '', ''])
        expect(uri).not.toContain('#')
        expect(url.pathname.split('/').map(decodeURIComponent)).not.toContain('..')
        if (type === 'web') expect([url.protocol, here]).toEqual(['https:', false])
        else if (url.protocol === 'http:') expect(here).toBe(true)
        else expect(['https:', ...knownCustomSchemes]).toContain(url.protocol)
      }),
      bounded,
    )
  })

  it('gets every response parameter exactly once, and keeps its own', () => {
    const answers = fc.record({ code: fc.string(), state: fc.string(), iss: fc.webUrl() })
    fc.assert(
      fc.property(uris, answers, (uri, answer) => {
        if (!accepted(uri, 'native')) return
        const location = withParams(uri, answer)
        expect(location.startsWith(uri)).toBe(true)
        const { searchParams } = new URL(location)
        for (const [name, value] of Object.entries(answer)) {
          expect(searchParams.getAll(name)).toEqual([value])
        }
      }),
      bounded,
    )
  })
})
