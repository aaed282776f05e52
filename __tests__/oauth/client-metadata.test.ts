import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { readClientMetadata } from '../../lib/oauth/client-metadata.js'
import { OAuthError } from '../../lib/oauth/errors.js'
import { refusal } from '../support/refusal.js'

const uri = 'http://localhost:33418/cb'
const read = (body: unknown) => readClientMetadata(body, ['cursor:'])
const withUri = (members: object) => read({ redirect_uris: [uri], ...members })
const refused = (why: string) => ({ error: 'invalid_client_metadata', error_description: why })

describe('a registration', () => {
  it('with redirect URIs alone becomes a native client with a secret that may refresh (RFC 7591 section 2)', () => {
    expect(read({ redirect_uris: [uri] })).toEqual({
      redirect_uris: [uri],
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'native',
    })
  })

  it('keeps every member we know and drops every other (RFC 7591 section 2)', () => {
    expect(
      read({
        redirect_uris: ['https://client.example/cb'],
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['authorization_code'],
        response_types: ['code'],
        application_type: 'web',
        client_name: 'Notes für alle',
        client_uri: 'https://client.example',
        logo_uri: 'https://client.example/logo.png',
        scope: 'notes.read',
        contacts: ['a@b.c'],
        __proto__: { software_id: 'x' },
      }),
    ).toEqual({
      redirect_uris: ['https://client.example/cb'],
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['authorization_code'],
      response_types: ['code'],
      application_type: 'web',
      client_name: 'Notes für alle',
      client_uri: 'https://client.example',
    })
  })

  it('may say null or nothing where it has nothing to say', () => {
    const empty = {
      token_endpoint_auth_method: null,
      grant_types: null,
      response_types: null,
      application_type: null,
      client_name: null,
      client_uri: '',
    }
    expect(withUri(empty)).toEqual(withUri({}))
    expect(withUri({ client_name: '' })).toEqual(withUri({}))
  })

  it('holds each redirect URI once, in its order', () => {
    const { redirect_uris } = read({ redirect_uris: [uri, 'cursor://cb', uri] })
    expect(redirect_uris).toEqual([uri, 'cursor://cb'])
  })

  it.each(['none', 'client_secret_post', 'client_secret_basic'])(
    'may authenticate by %s',
    (method) => {
      expect(withUri({ token_endpoint_auth_method: method }).token_endpoint_auth_method).toBe(
        method,
      )
    },
  )

  it.each([
    [
      ['refresh_token', 'authorization_code'],
      ['authorization_code', 'refresh_token'],
    ],
    [['authorization_code', 'implicit', 'client_credentials'], ['authorization_code']],
  ])('that asks for the grants %j gets %j', (asked, given) => {
    expect(withUri({ grant_types: asked }).grant_types).toEqual(given)
  })

  it('may ask for other response types besides code', () => {
    expect(withUri({ response_types: ['token', 'code'] }).response_types).toEqual(['code'])
  })

  it.each([undefined, null, true, 42, 'text', [], [{ redirect_uris: [uri] }]])(
    'is a JSON object, not %j',
    (body) => {
      expect(refusal(() => read(body))).toEqual(refused('The registration must be a JSON object.'))
    },
  )

  it.each([
    [
      { token_endpoint_auth_method: 'private_key_jwt' },
      'token_endpoint_auth_method must be one of: client_secret_post, client_secret_basic, none.',
    ],
    [
      { token_endpoint_auth_method: ['none'] },
      'token_endpoint_auth_method must be one of: client_secret_post, client_secret_basic, none.',
    ],
    [{ application_type: 'desktop' }, 'application_type must be one of: native, web.'],
    [{ grant_types: ['refresh_token'] }, "grant_types must include 'authorization_code'."],
    [{ grant_types: [] }, "grant_types must include 'authorization_code'."],
    [{ grant_types: 'authorization_code' }, 'grant_types must be an array of strings.'],
    [{ response_types: ['token'] }, "response_types must include 'code'."],
    [{ response_types: ['code', 1] }, 'response_types must be an array of strings.'],
    [{ redirect_uris: uri }, 'redirect_uris must be an array of strings.'],
    [{ redirect_uris: [uri, { uri }] }, 'redirect_uris must be an array of strings.'],
    [{ client_name: 1 }, 'client_name must be a string.'],
    [{ client_name: 'x'.repeat(257) }, 'client_name is longer than 256 characters.'],
    [{ client_name: 'a\0b' }, 'client_name has a NUL character.'],
    [{ client_uri: 'javascript:alert(1)' }, 'client_uri must be a web URL.'],
    [{ client_uri: 'client.example' }, 'client_uri must be a web URL.'],
    [{ client_uri: 'https://' }, 'client_uri must be a web URL.'],
    [{ client_uri: ['https://client.example'] }, 'client_uri must be a string.'],
    [{ client_uri: `https://${'x'.repeat(1993)}` }, 'client_uri is longer than 2000 characters.'],
  ])('is refused: %j', (members, why) => {
    expect(refusal(() => withUri(members))).toEqual(refused(why))
  })

  it.each([
    [{}, 'redirect_uris must hold at least one URI.'],
    [{ redirect_uris: null }, 'redirect_uris must hold at least one URI.'],
    [{ redirect_uris: [] }, 'redirect_uris must hold at least one URI.'],
    [{ redirect_uris: Array(17).fill(uri) }, 'redirect_uris holds more than 16.'],
    [
      { redirect_uris: [uri, 'http://evil.com/'] },
      'The redirect URI is http and not on a loopback host.',
    ],
    [
      { redirect_uris: ['cursor://cb'], application_type: 'web' },
      'The redirect URI of a web client is not https.',
    ],
  ])('is refused for its redirect URIs: %j', (body, why) => {
    expect(refusal(() => read(body))).toEqual({
      error: 'invalid_redirect_uri',
      error_description: why,
    })
  })

  it('is read or refused with an OAuth error, whatever it holds', () => {
    const names = [
      'redirect_uris',
      'grant_types',
      'response_types',
      'application_type',
      'client_name',
      'client_uri',
      'token_endpoint_auth_method',
    ]
    const bodies = fc.dictionary(fc.constantFrom(...names), fc.jsonValue())
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), bodies), (body) => {
        try {
          read(body)
        } catch (error) {
          expect(error).toBeInstanceOf(OAuthError)
        }
      }),
    )
  })
})
