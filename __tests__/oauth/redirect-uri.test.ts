import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  checkRedirectUri,
  knownCustomSchemes,
  matchesRegistration,
  redirectOrigin,
  staysOnDevice,
  withParams,
} from '../../lib/oauth/redirect-uri.js'
import { refusal } from '../support/refusal.js'

const native = (uri: string) => checkRedirectUri(uri, 'native', knownCustomSchemes)
const web = (uri: string) => checkRedirectUri(uri, 'web', knownCustomSchemes)
const refused = (why: string) => ({
  error: 'invalid_redirect_uri',
  error_description: `The redirect URI ${why}.`,
})

describe('a redirect URI to register', () => {
  it.each([
    'https://claude.ai/api/mcp/auth_callback',
    'https://client.example',
    'https://client.example:8443/cb?tenant=1',
    'https://client.example/a.b/..c/...',
    'https://localhost/cb',
    'http://localhost/cb',
    'http://localhost:33418',
    'http://127.0.0.1:33418/',
    'http://127.0.0.2/cb',
    'http://[::1]:33418/cb',
    'http://LOCALHOST/cb',
    'cursor://anysphere.cursor-retrieval/oauth/user-abc/callback',
    'vscode://vscode.github-authentication/did-authenticate',
    'com.raycast:/oauth',
  ])('of a native client may be %s', (uri) => {
    expect(() => native(uri)).not.toThrow()
  })

  it.each([
    ['http://client.example/cb', 'is http and not on a loopback host'],
    ['http://127.0.0.1.evil.com/cb', 'is http and not on a loopback host'],
    ['http://localhost.evil.com/cb', 'is http and not on a loopback host'],
    ['http://evillocalhost/cb', 'is http and not on a loopback host'],
    ['http://128.0.0.1/cb', 'is http and not on a loopback host'],
    ['http://0.0.0.0/cb', 'is http and not on a loopback host'],
    ['http://10.0.0.1/cb', 'is http and not on a loopback host'],
    ['http://[::]/cb', 'is http and not on a loopback host'],
    ['http://[::ffff:127.0.0.1]/cb', 'is http and not on a loopback host'],
    ['http://169.254.169.254/cb', 'is http and not on a loopback host'],
    ...['javascript', 'data', 'file', 'vbscript', 'blob', 'about', 'filesystem', 'intent']
      .concat(['view-source', 'ws', 'ftp', 'mailto', 'chrome', 'ms-word', 'unknown'])
      .flatMap((scheme) =>
        [`${scheme}:x`, `${scheme.toUpperCase()}://h/x`].map((uri) => [
          uri,
          `has the scheme '${scheme}', which this server does not allow`,
        ]),
      ),
    [
      'view-source:https://client.example',
      "has the scheme 'view-source', which this server does not allow",
    ],
    ['blob:https://client.example/1', "has the scheme 'blob', which this server does not allow"],
    ['https://client.example/cb#x', 'has a fragment'],
    ['https://client.example/cb#', 'has a fragment'],
    ['cursor://h/cb#x', 'has a fragment'],
    ['https://user@client.example/', 'has userinfo'],
    ['https://user:pw@client.example/', 'has userinfo'],
    ['https://@client.example/', 'has userinfo'],
    ['https://:@client.example/', 'has userinfo'],
    ['https://client.example@evil.com/', 'has userinfo'],
    ['http://localhost@evil.com/', 'has userinfo'],
    ['cursor://user@h/cb', 'has userinfo'],
    ['https://client.example/a/../cb', 'has a dot segment in its path'],
    ['https://client.example/./cb', 'has a dot segment in its path'],
    ['https://client.example/..', 'has a dot segment in its path'],
    ['https://client.example/a/..?x', 'has a dot segment in its path'],
    ['https://client.example/%2e%2e/cb', 'has a dot segment in its path'],
    ['https://client.example/.%2E/cb', 'has a dot segment in its path'],
    ['https://client.example/%2e/cb', 'has a dot segment in its path'],
    ['https://client.example/%252e%252e/cb', 'has a dot segment in its path'],
    ['https://client.example/%25252e./cb', 'has a dot segment in its path'],
    ['https://client.example/a%2f..%2fcb', 'has a dot segment in its path'],
    ['https://client.example/a%252F..%252fcb', 'has a dot segment in its path'],
    ['https://client.example/a%5c..%5Ccb', 'has a dot segment in its path'],
    ['https://client.example/%25%32%65%25%32%65/cb', 'has a dot segment in its path'],
    ['cursor://h/a/../cb', 'has a dot segment in its path'],
    ['com.raycast:/a/%2e%2e/cb', 'has a dot segment in its path'],
    ['https:/client.example/cb', 'has no host'],
    ['https:client.example/cb', 'has no host'],
    ['https:///client.example/cb', 'has no host'],
    ['http:localhost/cb', 'has no host'],
    ['https://client.example\\@evil.com/', 'has characters no URI has'],
    ['https:\\\\client.example/cb', 'has characters no URI has'],
    [' https://client.example/cb', 'has characters no URI has'],
    ['https://client.example/c b', 'has characters no URI has'],
    ['https://client.example/cb\n', 'has characters no URI has'],
    ['https://client.exa\tmple/cb', 'has characters no URI has'],
    ['java\nscript:alert(1)', 'has characters no URI has'],
    ['https://client.example/\0', 'has characters no URI has'],
    ['https://clıent.example/cb', 'has characters no URI has'],
    ['https://client.example/ü', 'has characters no URI has'],
    ['', 'has characters no URI has'],
    ['/cb', 'is not an absolute URI'],
    ['//client.example/cb', 'is not an absolute URI'],
    ['client.example', 'is not an absolute URI'],
    ['https://', 'is not an absolute URI'],
    ['https://client.example:99999/', 'is not an absolute URI'],
    ['http://127.0.0.256/', 'is not an absolute URI'],
    ['https://client.example/?code=1', "has the response parameter 'code' in its query"],
    ['https://client.example/?a&%65rror=1', "has the response parameter 'error' in its query"],
    ['https://client.example/?iss', "has the response parameter 'iss' in its query"],
    ['cursor://h/?state=', "has the response parameter 'state' in its query"],
  ])('is refused: %j', (uri, why) => {
    expect(refusal(() => native(uri))).toEqual(refused(why))
  })

  it('may have 2000 characters and no more', () => {
    const longest = `https://client.example/${'x'.repeat(2000 - 23)}`
    expect(() => native(longest)).not.toThrow()
    expect(refusal(() => native(`${longest}x`))).toEqual(refused('is longer than 2000 characters'))
  })

  it.each([
    ['http://client.example/cb', 'of a web client is not https'],
    ['http://localhost/cb', 'of a web client is not https'],
    ['cursor://h/cb', 'of a web client is not https'],
    ['https://localhost/cb', 'of a web client is on a loopback host'],
    ['https://app.localhost/cb', 'of a web client is on a loopback host'],
    ['https://127.0.0.1/cb', 'of a web client is on a loopback host'],
    ['https://2130706433/cb', 'of a web client is on a loopback host'],
    ['https://[::1]/cb', 'of a web client is on a loopback host'],
  ])('is refused to a web client: %s', (uri, why) => {
    expect(refusal(() => web(uri))).toEqual(refused(why))
  })

  it('of a web client is https on a host of its own', () => {
    expect(() => web('https://client.example/cb')).not.toThrow()
  })

  it('may have a scheme the application allows, and only those', () => {
    expect(() => checkRedirectUri('contoso://cb', 'native', ['contoso:'])).not.toThrow()
    expect(refusal(() => checkRedirectUri('cursor://cb', 'native', ['contoso:']))).toEqual(
      refused("has the scheme 'cursor', which this server does not allow"),
    )
  })

  it('never gets a dot segment in, however often each character of it is percent-encoded', () => {
    const encoded = fc
      .tuple(fc.constantFrom('.', '..'), fc.infiniteStream(fc.boolean()), fc.nat(3))
      .map(([segment, coin, times]) => {
        let text: string = segment
        for (let round = 0; round < times; round += 1) {
          text = text.replace(/./g, (character) =>
            coin.next().value ? `%${character.charCodeAt(0).toString(16)}` : character,
          )
        }
        return text
      })
    fc.assert(
      fc.property(encoded, (segment) => {
        const uri = `https://client.example/a/${segment}/cb`
        expect(refusal(() => native(uri))).toEqual(refused('has a dot segment in its path'))
      }),
    )
  })
})

describe('the length of a redirect URI', () => {
  it('is looked at before anything else', () => {
    const long = `https://client.example/${'%25'.repeat(300_000)}`
    expect(refusal(() => native(long))).toEqual(refused('is longer than 2000 characters'))
    expect(refusal(() => native(`\u00e4${long}`))).toEqual(
      refused('is longer than 2000 characters'),
    )
  })

  it('makes nobody decode it once for every character: after eight passes it is refused', () => {
    const encoded = (times: number) => `https://client.example/%${'25'.repeat(times - 1)}41/cb`
    expect(() => native(encoded(8))).not.toThrow()
    expect(refusal(() => native(encoded(9)))).toEqual(refused('has a dot segment in its path'))
    expect(refusal(() => native(encoded(900)))).toEqual(refused('has a dot segment in its path'))
  })

  it('is no reason to repeat a scheme at length', () => {
    const { error_description: why } = refusal(() => native(`${'x'.repeat(1900)}:cb`))
    expect(why).toBe(
      refused(`has the scheme '${'x'.repeat(64)}', which this server does not allow`)
        .error_description,
    )
  })
})

describe('a requested redirect URI', () => {
  const hosts = ['localhost', '127.0.0.1', '[::1]']

  it('matches a registered one character by character', () => {
    const registered = ['https://client.example/cb?a=1', 'cursor://h/cb']
    for (const uri of registered) expect(matchesRegistration(uri, registered)).toBe(true)
    expect(matchesRegistration('https://client.example/cb?a=1', [])).toBe(false)
  })

  it.each([
    'https://client.example/cb/',
    'https://client.example/CB',
    'https://client.example/cb?',
    'https://client.example/cb?a=1',
    'https://client.example:443/cb',
    'https://CLIENT.example/cb',
    'HTTPS://client.example/cb',
    'http://client.example/cb',
    'https://client.example/cb#',
    'https://client.example/%63b',
    'https://client.example/x/../cb',
    'https://client.example/cb ',
    'https://client.example/c',
    'https://client.example/cbx',
    'https://evil.example/?https://client.example/cb',
  ])('is not nearly the registered https://client.example/cb: %j', (uri) => {
    expect(matchesRegistration(uri, ['https://client.example/cb'])).toBe(false)
  })

  it('on an http loopback host may have any port (RFC 8252 section 7.3)', () => {
    const port = fc.option(fc.integer({ min: 0, max: 65535 }), { nil: undefined })
    const path = fc.constantFrom('', '/', '/cb', '/cb?a=1', '?a=1')
    fc.assert(
      fc.property(fc.constantFrom(...hosts), path, port, port, (host, rest, one, other) => {
        const uri = (at?: number) => `http://${host}${at === undefined ? '' : `:${at}`}${rest}`
        expect(matchesRegistration(uri(one), ['https://x.example', uri(other)])).toBe(true)
      }),
    )
  })

  it('differs from the registered one in the port of an http loopback URI or in nothing', () => {
    const part = <T extends string>(...choices: T[]) => fc.constantFrom(...choices)
    const parts = {
      scheme: part('http', 'http', 'http', 'https', 'HTTP', 'cursor'),
      userinfo: part('', '', '', 'user@', 'localhost:1@'),
      host: part(
        'localhost',
        '127.0.0.1',
        '[::1]',
        'LOCALHOST',
        'localhost.',
        '127.0.0.2',
        '127.1',
      ),
      suffix: part('', '', '', '.evil.com'),
      port: part('', ':', ':1', ':8080', ':65535', ':65536', ':080', ':-1', ':1x', ':123456'),
      path: part(
        '',
        '/',
        '/cb',
        '/cb',
        '/CB',
        '/cb?a=1',
        '?a=1',
        '#x',
        '/cb#x',
        '\\cb',
        '@evil.com/',
      ),
    }
    // The second is the first with some parts replaced, so that near misses are the rule.
    const pairs = fc.tuple(fc.record(parts), fc.record(parts, { requiredKeys: [] }))
    const text = ({
      scheme,
      userinfo,
      host,
      suffix,
      port,
      path,
    }: Record<keyof typeof parts, string>) =>
      `${scheme}://${userinfo}${host}${suffix}${port}${path}`
    fc.assert(
      fc.property(pairs, ([first, changes]) => {
        const [requested, registered] = [text(first), text({ ...first, ...changes })]
        expect(matchesRegistration(requested, [registered])).toBe(mayMatch(requested, registered))
      }),
      { numRuns: 5000 },
    )
  })

  it.each([
    'http://localhost:65536/cb',
    'http://localhost:99999/cb',
    'http://localhost:123456/cb',
    'http://localhost:/cb',
    'http://localhost:1@evil.com/cb',
    'http://localhost.evil.com:1/cb',
  ])('with something that is no port matches nothing: %s', (uri) => {
    expect(matchesRegistration(uri, ['http://localhost/cb', 'http://localhost:1/cb'])).toBe(false)
  })

  it('never matches any port elsewhere', () => {
    const origins = ['https://localhost', 'http://client.example', 'cursor://localhost']
    for (const origin of [...origins, 'http://127x0.0.1', 'http://127.0.0.2']) {
      expect(matchesRegistration(`${origin}:1/cb`, [`${origin}:2/cb`])).toBe(false)
    }
    expect(matchesRegistration('http://127.0.0.1:1/cb', ['http://localhost:1/cb'])).toBe(false)
  })

  /** The rule, written from the back: find one port in each text such that all the rest is the same. */
  function mayMatch(requested: string, registered: string): boolean {
    if (requested === registered) return true
    const splits = (uri: string) =>
      hosts.flatMap((host) => {
        const front = `http://${host}`
        if (uri.slice(0, front.length).toLowerCase() !== front) return []
        const rest = uri.slice(front.length)
        const colon = rest.startsWith(':')
        const end = rest.search(/[/?]/)
        const port = rest.slice(colon ? 1 : 0, end < 0 ? undefined : end)
        const isPort = colon ? /^[0-9]{1,5}$/.test(port) && Number(port) < 65536 : port === ''
        return isPort ? [uri.slice(0, front.length) + (end < 0 ? '' : rest.slice(end))] : []
      })
    return splits(requested).some((one) => splits(registered).includes(one))
  }
})

describe('a redirect URI', () => {
  it.each([
    ['http://localhost/cb', true],
    ['http://127.0.0.1:1/', true],
    ['https://[::1]/', true],
    ['cursor://localhost.evil.com/cb', true],
    ['vscode:cb', true],
    ['https://client.example/', false],
    ['https://localhost.evil.com/cb', false],
    ['https://127.0.0.1.evil.com/cb', false],
    ['HTTPS://client.example/', false],
  ])('%s stays on the device: %s', (uri, stays) => {
    expect(staysOnDevice(uri)).toBe(stays)
  })
})

describe('the origin of a redirect URI', () => {
  it.each([
    ['https://client.example/cb?a=1', 'https://client.example'],
    ['https://client.example:443/other', 'https://client.example'],
    ['https://Client.Example/cb', 'https://client.example'],
    ['https://client.example:8443/cb', 'https://client.example:8443'],
    ['https://client.example.evil/cb', 'https://client.example.evil'],
    ['http://127.0.0.1:33418/callback', 'http://127.0.0.1'],
    ['http://127.0.0.1/callback', 'http://127.0.0.1'],
    ['http://[::1]:5/callback', 'http://[::1]'],
    ['http://localhost:5/callback', 'http://localhost'],
    ['https://localhost:8443/callback', 'https://localhost'],
    ['cursor://anysphere.cursor/cb', 'cursor:'],
    ['com.raycast:/oauth?x', 'com.raycast:'],
  ])('of %s is %s', (uri, origin) => {
    expect(redirectOrigin(uri)).toBe(origin)
  })
})

describe('response parameters', () => {
  it.each([
    ['https://client.example/cb', 'https://client.example/cb?code=c&state=s'],
    ['https://client.example/cb?', 'https://client.example/cb?code=c&state=s'],
    ['https://client.example/cb??', 'https://client.example/cb??&code=c&state=s'],
    ['https://client.example/cb?a?', 'https://client.example/cb?a?&code=c&state=s'],
    ['https://client.example/cb?a=%2F', 'https://client.example/cb?a=%2F&code=c&state=s'],
    ['https://client.example/cb?a&', 'https://client.example/cb?a&code=c&state=s'],
    ['http://LOCALHOST:80', 'http://LOCALHOST:80?code=c&state=s'],
    ['cursor:cb', 'cursor:cb?code=c&state=s'],
  ])('are added to %s, which keeps every byte', (uri, expected) => {
    expect(withParams(uri, { code: 'c', error: undefined, state: 's' })).toBe(expected)
  })

  it('come out as they went in, and none of them becomes another', () => {
    const value = fc.string({ unit: 'grapheme' })
    fc.assert(
      fc.property(value, value, (code, state) => {
        const uri = withParams('https://client.example/cb?own=1', { code, state })
        expect(uri.startsWith('https://client.example/cb?own=1&')).toBe(true)
        expect(Object.fromEntries(new URL(uri).searchParams)).toEqual({ own: '1', code, state })
        expect(uri).toMatch(/^[\x21-\x7e]+$/)
      }),
    )
  })
})
