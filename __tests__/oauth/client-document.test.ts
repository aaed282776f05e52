/** What of a document becomes the registration of its client. */
import { describe, expect, it } from '@jest/globals'
import { readClientDocument } from '../../lib/oauth/client-document.js'
import { documentOf } from '../support/client-documents.js'
import { refusal } from '../support/refusal.js'

const id = 'https://client.example/app.json'
const read = (changes: Record<string, unknown> = {}) =>
  readClientDocument(id, documentOf(id, changes), ['cursor:'])
const why = (changes: Record<string, unknown>) => {
  const { error, error_description } = refusal(() => read(changes))
  expect(error).toBe('invalid_client')
  return error_description
}

describe('the document of a client', () => {
  it('becomes a registration, unknown members left out', () => {
    expect(
      read({ logo_uri: 'https://client.example/logo.png', contacts: ['a@b.example'] }),
    ).toEqual({
      client_name: 'Published client',
      client_uri: 'https://client.example/',
      redirect_uris: ['http://127.0.0.1:33418/callback'],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'native',
    })
  })

  it('needs no more than its three members: public, and able to refresh', () => {
    const { client_id, client_name, redirect_uris } = documentOf(id)
    const metadata = readClientDocument(id, { client_id, client_name, redirect_uris }, [])
    expect(metadata).toMatchObject({
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
    })
  })

  it.each([null, [], 'text', 1])('is an object and not %j', (document) => {
    expect(refusal(() => readClientDocument(id, document, [])).error_description).toBe(
      "The client's document is not a JSON object.",
    )
  })

  it.each([
    'https://client.example/app.json/',
    'https://client.example/App.json',
    'https://CLIENT.example/app.json',
    'https://client.example:443/app.json',
    'https://client.example/app%2Ejson',
    'https://client.example/app.json?',
    '',
    undefined,
    [id],
  ])('has its own URL as client_id, byte for byte, and not %j', (client_id) => {
    expect(why({ client_id })).toBe(
      "The client's document has another 'client_id' than its own URL.",
    )
  })

  it.each([undefined, '', ' ', 5, null])('has a client_name and not %j', (client_name) => {
    expect(why({ client_name })).toBe("The client's document has no 'client_name'.")
  })

  it.each([undefined, [], 'https://client.example/callback', {}])(
    'has redirect_uris and not %j',
    (redirect_uris) => {
      expect(why({ redirect_uris })).toBe("The client's document has no 'redirect_uris'.")
    },
  )

  it.each([
    ['javascript:alert(1)', 'has the scheme'],
    ['http://client.example/callback', 'is http and not on a loopback host'],
    ['https://user@client.example/callback', 'has userinfo'],
    ['https://client.example/callback#fragment', 'has a fragment'],
    ['https://client.example/a/%2e%2e/b', 'has a dot segment'],
    ['http://localhost:*/callback', 'is not an absolute URI'],
    ['myapp://callback', "has the scheme 'myapp'"],
  ])('with nothing but %s to return to is refused', (uri, reason) => {
    expect(why({ redirect_uris: [uri] })).toContain(reason)
  })

  it('is good for the redirect URIs that are allowed here, and for no other', () => {
    const redirect_uris = ['myapp://cb', 'cursor://cb', 'http://localhost/cb', 'data:text/html,x']
    expect(read({ redirect_uris }).redirect_uris).toEqual(['cursor://cb', 'http://localhost/cb'])
  })

  it('of a web client has https redirect URIs only', () => {
    const redirect_uris = ['http://localhost/cb', 'https://client.example/cb']
    expect(read({ application_type: 'web', redirect_uris }).redirect_uris).toEqual([
      'https://client.example/cb',
    ])
    expect(why({ application_type: 'web' })).toContain('of a web client is not https')
    expect(why({ application_type: 'robot' })).toContain('application_type must be one of')
  })

  it.each(['client_secret', 'client_secret_expires_at'])('has no %s', (name) => {
    expect(why({ [name]: 'x' })).toBe(
      `The client's document has a '${name}', and everybody can read it.`,
    )
  })

  it.each([
    'client_secret_basic',
    'client_secret_post',
    'client_secret_jwt',
    'tls_client_auth',
    '',
    null,
  ])('names no other method than none and private_key_jwt: %j', (token_endpoint_auth_method) => {
    expect(why({ token_endpoint_auth_method })).toContain("must have 'none' or 'private_key_jwt'")
  })

  it('of a client that signs says where its keys are', () => {
    const token_endpoint_auth_method = 'private_key_jwt'
    const jwks_uri = 'https://keys.example/jwks'
    const key = { kty: 'EC', crv: 'P-256', x: 'x'.repeat(43), y: 'y'.repeat(43), kid: 'one' }
    const jwks = { keys: [{}, { kty: 'EC' }, 'no key', { ...key, x5c: ['x'], ext: true }] }
    expect(read({ token_endpoint_auth_method, jwks_uri })).toMatchObject({
      token_endpoint_auth_method,
      jwks_uri,
    })
    expect(
      read({ token_endpoint_auth_method, jwks, token_endpoint_auth_signing_alg: 'ES256' }),
    ).toMatchObject({ jwks: { keys: [key] }, token_endpoint_auth_signing_alg: 'ES256' })
    const wrong: [Record<string, unknown>, string][] = [
      [{}, "must have one of 'jwks' and 'jwks_uri'"],
      [{ jwks, jwks_uri }, "must have one of 'jwks' and 'jwks_uri'"],
      [{ jwks: {} }, "has a key set without 'keys'"],
      [{ jwks: null }, "has a key set without 'keys'"],
      [{ jwks_uri: 'http://keys.example/jwks' }, "must have an https URL as 'jwks_uri'"],
      [{ jwks_uri: 5 }, "must have an https URL as 'jwks_uri'"],
      [{ jwks_uri: 'https://user@keys.example/' }, 'without userinfo and fragment'],
      [{ jwks_uri: 'https://keys.example/#x' }, 'without userinfo and fragment'],
      [{ jwks, token_endpoint_auth_signing_alg: 'HS256' }, 'must have one of RS256, ES256, EdDSA'],
      [{ jwks, token_endpoint_auth_signing_alg: 'none' }, 'must have one of RS256, ES256, EdDSA'],
    ]
    for (const [changes, reason] of wrong) {
      expect(why({ token_endpoint_auth_method, ...changes })).toContain(reason)
    }
  })

  it('says what else is wrong with it in the words of a registration', () => {
    expect(why({ grant_types: ['client_credentials'] })).toBe(
      "The client's document: grant_types must include 'authorization_code'.",
    )
    expect(why({ client_name: 'x'.repeat(300) })).toContain('client_name is longer than 256')
  })

  it('with prototype keys changes no prototype', () => {
    const text = JSON.stringify(documentOf(id)).replace('{', '{"__proto__":{"polluted":true},')
    expect(readClientDocument(id, JSON.parse(text), [])).not.toHaveProperty('polluted')
    expect({}).not.toHaveProperty('polluted')
  })
})
