/** Client ids that are URLs: which spelling is one. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { isClientIdUrl, readClientIdUrl } from '../../lib/oauth/client-id-url.js'
import { refusal } from '../support/refusal.js'

describe('a client id that is a URL (draft-ietf-oauth-client-id-metadata-document-00 section 3)', () => {
  it.each([
    'https://vscode.dev/oauth/client-metadata.json',
    'https://claude.ai/oauth/claude-code-client-metadata',
    'https://client.example:8443/app',
    'https://client.example/app?version=2',
    'https://client.example/app/',
    `https://client.example/${'x'.repeat(2048 - 'https://client.example/'.length)}`,
  ])('is good: %s', (id) => {
    expect(isClientIdUrl(id)).toBe(true)
    expect(readClientIdUrl(id).href).toBe(id)
  })

  it.each([
    ['http://client.example/app', 'is not https'],
    ['HTTPS://client.example/app', 'is not https'],
    ['https://client.example', 'has no path'],
    ['https://client.example/', 'has no path'],
    ['https://client.example?app', 'has no path'],
    ['https://user@client.example/app', 'has userinfo'],
    ['https://user:secret@client.example/app', 'has userinfo'],
    ['https://@client.example/app', 'has userinfo'],
    ['https://client.example/app#one', 'has a fragment'],
    ['https://client.example/app#', 'has a fragment'],
    ['https://client.example/a/../b', 'has a dot segment in its path'],
    ['https://client.example/./b', 'has a dot segment in its path'],
    ['https://client.example/a/..', 'has a dot segment in its path'],
    ['https://client.example/%2e%2e/b', 'has a dot segment in its path'],
    ['https://client.example/.%2E/b', 'has a dot segment in its path'],
    ['https://client.example/%252e%252e/b', 'has a dot segment in its path'],
    ['https://client.example/a%2f..%2fb', 'has a dot segment in its path'],
    ['https://Client.example/app', 'is not in its normal form'],
    ['https://client.example:443/app', 'is not in its normal form'],
    ['https://client.example/a b', 'is not in its normal form'],
    ['https://client.example/\u00e4', 'is not in its normal form'],
    ['https://client.example\\app', 'is not in its normal form'],
    ['https:\\\\client.example/app', 'is not https'],
    ['https://2130706433/app', 'is not in its normal form'],
    ['https://0x7f.1/app', 'is not in its normal form'],
    ['https://127.1/app', 'is not in its normal form'],
    ['https://', 'is not a URL'],
    ['https://client.example:99999/app', 'is not a URL'],
    [
      `https://client.example/${'x'.repeat(2049 - 'https://client.example/'.length)}`,
      'is longer than 2048 characters',
    ],
  ])('is refused: %s: %s', (id, why) => {
    expect(refusal(() => readClientIdUrl(id))).toEqual({
      error: 'invalid_client',
      error_description: `The client_id ${why}.`,
    })
  })

  it('is never anything but what the URL parser would write', () => {
    fc.assert(
      fc.property(
        fc.webUrl({ validSchemes: ['https'], withQueryParameters: true, withFragments: true }),
        (id) => {
          try {
            const url = readClientIdUrl(id)
            expect([url.href, url.hash, url.username, url.password]).toEqual([id, '', '', ''])
            expect(url.pathname).not.toBe('/')
          } catch (error) {
            expect(error).toMatchObject({ code: 'invalid_client' })
          }
        },
      ),
    )
  })

  it('is told from the ids we issue', () => {
    for (const id of ['', 'my-client', 'httpsclient', 'urn:client', 'YWJj_-']) {
      expect(isClientIdUrl(id)).toBe(false)
    }
    for (const id of ['http://client.example', 'HTTPS://x/y']) expect(isClientIdUrl(id)).toBe(true)
  })
})
