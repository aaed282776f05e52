/** Which URL a proof has to be for. All other checks of proofs are tested through HTTP: see flows/dpop.test.ts. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { checkProofClaims, readProof, targetUri } from '../../lib/oauth/dpop.js'
import { newKey, proof } from '../support/dpop.js'

describe('the URL of a request', () => {
  it.each([
    ['https://mcp.contoso.com', '/mcp', 'https://mcp.contoso.com/mcp'],
    ['https://mcp.contoso.com', '/mcp?a=b', 'https://mcp.contoso.com/mcp'],
    ['https://mcp.contoso.com', '/mcp#a', 'https://mcp.contoso.com/mcp'],
    ['https://mcp.contoso.com', '//evil.example/mcp', 'https://mcp.contoso.com//evil.example/mcp'],
    ['https://mcp.contoso.com', 'http://evil.example/mcp?a', 'https://mcp.contoso.com/mcp'],
    ['https://mcp.contoso.com', '*', 'https://mcp.contoso.com/'],
    // Paths that do not begin with a slash would make another host of it.
    ['https://mcp.contoso.com', 'x:.evil.example/mcp', 'https://mcp.contoso.com/'],
    ['https://mcp.contoso.com', 'x:', 'https://mcp.contoso.com/'],
    ['https://mcp.contoso.com/notes', '/notes/mcp', 'https://mcp.contoso.com/notes/mcp'],
    ['https://mcp.contoso.com/notes', '/notes', 'https://mcp.contoso.com/notes'],
    // A proxy in front has cut the prefix off.
    ['https://mcp.contoso.com/notes', '/mcp', 'https://mcp.contoso.com/notes/mcp'],
    ['https://mcp.contoso.com/notes', '/notes2/mcp', 'https://mcp.contoso.com/notes/notes2/mcp'],
  ])('of %s is, for %s, %s', (baseUrl, requestUrl, url) => {
    expect(targetUri(baseUrl, requestUrl)).toBe(url)
  })

  it('is always one of this server, whatever the request says', () => {
    fc.assert(
      fc.property(fc.oneof(fc.webUrl(), fc.webPath(), fc.string()), (requestUrl) => {
        const url = targetUri('https://mcp.contoso.com', requestUrl)
        expect(url.startsWith('https://mcp.contoso.com/')).toBe(true)
      }),
    )
  })
})

describe('a proof', () => {
  const url = 'https://mcp.contoso.com/mcp'
  const check = (htu: string) => {
    const read = readProof(proof(newKey(), 'POST', htu))
    return () => checkProofClaims(read, { method: 'POST', url, now: Date.now() })
  }

  it.each([
    'https://mcp.contoso.com/mcp',
    'https://mcp.contoso.com:443/mcp',
    'HTTPS://MCP.contoso.com/mcp',
    'https://mcp.contoso.com/mcp?query#fragment',
    'https://mcp.contoso.com/%6d%63p',
    'https://mcp.contoso.com/x/../mcp',
  ])('for %s is for the same URL (RFC 3986 section 6.2)', (htu) => {
    expect(check(htu)).not.toThrow()
  })

  it.each([
    'https://mcp.contoso.com/mcp/',
    'https://mcp.contoso.com/MCP',
    'http://mcp.contoso.com/mcp',
    'https://mcp.contoso.com:8443/mcp',
    'https://mcp.contoso.com.evil.example/mcp',
    'https://user@mcp.contoso.com/mcp',
    'https://mcp.contoso.com/mcp%2f',
    '/mcp',
    'mcp.contoso.com/mcp',
    '',
  ])('for %j is for another one', (htu) => {
    expect(check(htu)).toThrow(/htu/)
  })
})
