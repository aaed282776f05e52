/** Which senders of a form count as our own pages. */
import type { IncomingMessage } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import { checkSameOrigin } from '../../lib/http/same-origin.js'
import { OAuthError } from '../../lib/oauth/errors.js'

const own = 'https://mcp.contoso.com'

function check(headers: Record<string, string>): unknown {
  try {
    return checkSameOrigin({ headers } as unknown as IncomingMessage, own)
  } catch (error) {
    return error
  }
}

describe('a form', () => {
  it.each([
    ['of a browser that says so', { 'sec-fetch-site': 'same-origin' }],
    ['that the user has sent again', { 'sec-fetch-site': 'none' }],
    ['of our pages, whose origin is hidden', { 'sec-fetch-site': 'same-origin', origin: 'null' }],
    ['of a browser that says its origin alone', { origin: own }],
    ['of a browser that hides its origin', { origin: 'null' }],
    ['of a browser that says nothing', {}],
    [
      'behind a proxy that changes Origin',
      { 'sec-fetch-site': 'same-origin', origin: 'http://in.side' },
    ],
  ])('%s is let pass', (_what, headers) => {
    expect(check(headers)).toBeUndefined()
  })

  it.each([
    ['another site', { 'sec-fetch-site': 'cross-site' }],
    ['a sub-domain', { 'sec-fetch-site': 'same-site' }],
    ['another site that claims our origin', { 'sec-fetch-site': 'cross-site', origin: own }],
    ['a browser that says something new', { 'sec-fetch-site': 'elsewhere' }],
    ['another origin', { origin: 'https://evil.example' }],
    ['our host without TLS', { origin: 'http://mcp.contoso.com' }],
    ['an origin that begins like ours', { origin: `${own}.evil.example` }],
  ])('of %s is refused', (_what, headers) => {
    const error = check(headers)
    expect(error).toBeInstanceOf(OAuthError)
    expect(error).toMatchObject({ code: 'access_denied', status: 403 })
  })
})
