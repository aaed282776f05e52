/** What an event shows of what the code knows. */
import { describe, expect, it } from '@jest/globals'
import { sha256 } from '../../lib/crypto/hashing.js'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { clients } from '../../lib/tokens/clients.js'
import { eventSubjects, grantFacts } from '../../lib/tokens/event-subject.js'
import { grantId } from '../../lib/tokens/grant-id.js'
import { loginGrant } from '../support/replica.js'

const keys = ['operator-secret-of-these-tests-01', 'operator-secret-of-these-tests-02'] as const
const ring = keyRing([keys[0]])
const registered = clients(ring, () => 0)
const describeFacts = eventSubjects({ findClient: registered.find })
const user = { tid: 'tenant', oid: 'ada', name: 'Ada Lovelace' }

function registerAt(...redirectUris: string[]): string {
  return registered.register({
    redirect_uris: redirectUris,
    token_endpoint_auth_method: 'none',
    grant_types: ['authorization_code'],
    response_types: ['code'],
    application_type: 'native',
  }).id
}

/** What an event shows of a client, without the hash of its id. */
function placeOf(client: Parameters<typeof describeFacts>[0]['client']) {
  const { id, ...place } = describeFacts({ client }).client ?? { id: 'none' }
  return id === 'none' ? undefined : place
}

describe('a user', () => {
  it('is shown by the two ids and nothing else', () => {
    expect(describeFacts({ user }).user).toEqual({ tid: 'tenant', oid: 'ada' })
  })

  it('has a pseudonym that replicas agree on, and that only the first key makes', () => {
    const pseudonymOf = (given: readonly string[], who = user) =>
      eventSubjects({
        findClient: () => undefined,
        pseudonymKey: keyRing(given).current,
      })({ user: who }).user
    const expected = { pseudonym: expect.stringMatching(/^[\w-]{43}$/) }
    expect(pseudonymOf([keys[0]])).toEqual(expected)
    expect(pseudonymOf(keys)).toEqual(pseudonymOf([keys[0]]))
    expect(pseudonymOf([keys[1], keys[0]])).not.toEqual(pseudonymOf(keys))
    expect(pseudonymOf(keys, { ...user, oid: 'bob' })).not.toEqual(pseudonymOf(keys))
    expect(pseudonymOf(keys, { ...user, tid: 'other' })).not.toEqual(pseudonymOf(keys))
  })
})

describe('a client', () => {
  const document = 'https://claude.ai:8443/oauth/client.json'

  it('is shown by the hash that its records bear', () => {
    const id = registerAt('https://app.contoso.com/cb')
    expect(describeFacts({ client: { id } }).client?.id).toBe(sha256(id))
    expect(describeFacts(grantFacts('sid', loginGrant)).client?.id).toBe(loginGrant.client)
  })

  it.each([
    ['its document', { id: document }, { host: 'claude.ai:8443' }],
    [
      'its document, not of its redirect URI',
      { hash: 'h', host: 'vscode.dev', redirectUri: 'http://127.0.0.1:1/' },
      { host: 'vscode.dev' },
    ],
    [
      'the redirect URI in use',
      { id: 'unknown', redirectUri: 'https://app.contoso.com/cb' },
      { host: 'app.contoso.com' },
    ],
    [
      'the one it has registered',
      { id: registerAt('http://localhost/cb', 'https://app.contoso.com/cb') },
      { host: 'app.contoso.com' },
    ],
    ['no host, on this device', { id: registerAt('http://127.0.0.1/cb') }, { onDevice: true }],
    [
      'no host, with a scheme of its own',
      { hash: 'h', redirectUri: 'cursor://callback' },
      { onDevice: true },
    ],
    ['nothing more: it is known by its id alone', { id: '04b07795-8ddb' }, {}],
    ['nothing more: it is known by the hash alone', { hash: 'h' }, {}],
  ])('is shown with the host of %s', (_of, client, place) => {
    expect(placeOf(client)).toEqual(place)
  })

  it('is not shown when a token of Entra names no app', () => {
    expect(describeFacts({ client: { id: '' } }).client).toBeUndefined()
  })
})

describe('a grant', () => {
  it('has an id made of its secret, which names no record of the store', () => {
    const sid = 'the secret of this login'
    expect(grantId(sid)).toMatch(/^[\w-]{16}$/)
    expect(describeFacts({ sid }).grant).toBe(grantId(sid))
    expect(grantId('another')).not.toBe(grantId(sid))
    for (const kind of ['grant', 'revoked', 'step-up']) {
      expect(sha256(`${kind}\0${sid}`)).not.toContain(grantId(sid))
    }
    expect(sha256(sid)).not.toContain(grantId(sid))
  })
})

it('one tool is a name, several are a list', () => {
  expect(describeFacts({ tools: [] }).tool).toBeUndefined()
  expect(describeFacts({ tools: ['add_note'] }).tool).toBe('add_note')
  expect(describeFacts({ tools: ['add_note', 'purge'] }).tool).toEqual(['add_note', 'purge'])
})
