import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { OAuthError, type OAuthErrorCode, unavailable } from '../../lib/oauth/errors.js'

const statuses: Record<OAuthErrorCode, number> = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  unsupported_token_type: 400,
  invalid_scope: 400,
  invalid_target: 400,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  access_denied: 403,
  login_required: 400,
  interaction_required: 400,
  consent_required: 400,
  account_selection_required: 400,
  invalid_token: 401,
  insufficient_scope: 403,
  insufficient_claims: 401,
  invalid_dpop_proof: 400,
  use_dpop_nonce: 400,
  server_error: 500,
  temporarily_unavailable: 503,
}

describe('OAuthError', () => {
  it.each(Object.entries(statuses))('of code %s has status %d', (code, status) => {
    const error = new OAuthError(code as OAuthErrorCode, 'Why.')
    expect(error).toMatchObject({ name: 'OAuthError', code, status, retryAfter: undefined })
    expect(error).toBeInstanceOf(Error)
    expect(error.message).toBe(`${code}: Why.`)
    expect(error.toBody()).toEqual({ error: code, error_description: 'Why.' })
  })

  it('takes another status and a time to try again', () => {
    const error = new OAuthError('invalid_request', 'Too large.', { status: 413, retryAfter: 9 })
    expect(error).toMatchObject({ status: 413, retryAfter: 9 })
  })

  it('keeps the cause for the operator and shows nothing of it to the client', () => {
    const cause = new Error('AADSTS7000215 secret')
    const error = new OAuthError('server_error', 'Our side failed.', { cause })
    expect(error.cause).toBe(cause)
    expect(JSON.stringify(error.toBody())).not.toMatch(/AADSTS|secret/)
    expect('cause' in new OAuthError('server_error', 'Our side failed.')).toBe(false)
  })

  it('has a description of the characters RFC 6749 section 5.2 allows, whatever it is given', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const { description, message } = new OAuthError('invalid_request', text)
        expect(description).toMatch(/^[\x20-\x21\x23-\x5B\x5D-\x7E]*$/)
        expect(description).toHaveLength(text.length)
        expect(message).toBe(`invalid_request: ${description}`)
      }),
    )
  })

  it('leaves a description of allowed characters as it is', () => {
    const text = "'scope' asks for more: ~!#$%&()*+,-./09:;<=>?@AZ[]^_`az{|}"
    expect(new OAuthError('invalid_scope', text).description).toBe(text)
  })
})

describe('an outage', () => {
  it('is 503 with Retry-After, and its cause stays inside', () => {
    const cause = new Error('ECONNREFUSED')
    expect(unavailable('Entra does not answer.', cause)).toMatchObject({
      code: 'temporarily_unavailable',
      status: 503,
      retryAfter: 5,
      cause,
    })
    expect(unavailable('Entra does not answer.', cause, 30).retryAfter).toBe(30)
  })

  it.each([
    [0, 1],
    [0.001, 1],
    [1.2, 2],
    [60, 60],
  ])('of %d seconds is told as %d whole ones', (given, told) => {
    expect(unavailable('Down.', null, given).retryAfter).toBe(told)
  })
})
