import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { keyRing } from '../../lib/crypto/key-ring.js'
import { sealJson } from '../../lib/crypto/sealing.js'
import { authMethods, type ClientMetadata, grantTypes } from '../../lib/oauth/client-metadata.js'
import { clients } from '../../lib/tokens/clients.js'
import { refusal } from '../support/refusal.js'
import { ring, start } from '../support/replica.js'

const now = () => start + 999
const registry = clients(ring, now)
const older = 'operator-secret-of-these-tests-01'
const newer = 'newer-operator-secret-of-the-tests'
const metadata: ClientMetadata = {
  redirect_uris: ['http://localhost:33418/cb'],
  token_endpoint_auth_method: 'client_secret_post',
  grant_types: [...grantTypes],
  response_types: ['code'],
  application_type: 'native',
  client_name: 'Notes',
}

/** As issued under the first version of the format: it lies in the configuration of clients for years. */
const earlier = {
  id: 'v4XeGJP_RVp4CYplYesUtm8NL545Zq4cEuEjIfhVairO59g3ro33AZmN74sqL7rNjKhPzYILOOpQrSJon6eotMyice8jPDuBDubWte_iAsQh7aSMo-J1G1QvjZUZEA__oi-j_putTpuJyr-NrLxN82r3cBJL-trRcwEqkSFJ7Hum5Hh349rcqeXu1w',
  secret: 'JX7eOdfmPNY1IObxBo4XjYQeDR4fPyHZzZtSmdnYrb4',
}

describe('a client id', () => {
  it('is the registration: another process reads it with nothing but the keys', () => {
    const client = registry.register(metadata)
    expect(client).toEqual({
      id: expect.stringMatching(/^[A-Za-z0-9_-]+$/),
      metadata,
      issuedAt: start / 1000,
    })
    expect(clients(keyRing([older]), () => 0).find(client.id)).toEqual(client)
  })

  it('holds every registration there can be', () => {
    const registrations: fc.Arbitrary<ClientMetadata> = fc.record(
      {
        redirect_uris: fc.array(fc.webUrl({ size: 'small' }), { minLength: 1, maxLength: 4 }),
        token_endpoint_auth_method: fc.constantFrom(...authMethods),
        grant_types: fc.constantFrom([...grantTypes], ['authorization_code']),
        response_types: fc.constant(['code'] as const),
        application_type: fc.constantFrom('native' as const, 'web' as const),
        client_name: fc.string({ unit: 'grapheme', maxLength: 50 }),
        client_uri: fc.webUrl({ size: 'small' }),
      },
      {
        requiredKeys: [
          'redirect_uris',
          'token_endpoint_auth_method',
          'grant_types',
          'response_types',
          'application_type',
        ],
      },
    )
    fc.assert(
      fc.property(registrations, (registration) => {
        const { id } = registry.register(registration)
        expect(registry.find(id)).toEqual({ id, metadata: registration, issuedAt: start / 1000 })
      }),
    )
  })

  it('from an earlier release is still known, and so is its secret', () => {
    const client = registry.find(earlier.id)
    expect(client).toEqual({ id: earlier.id, metadata, issuedAt: start / 1000 })
    expect(client && registry.secretOf(client)).toBe(earlier.secret)
  })

  it('is opened once: the next look finds the same object', () => {
    const { id } = registry.register(metadata)
    expect(registry.find(id)).toBe(registry.find(id))
  })

  it('is another one each time', () => {
    expect(registry.register(metadata).id).not.toBe(registry.register(metadata).id)
  })

  it('is unknown with any one character changed, left out or added', () => {
    const { id } = registry.register(metadata)
    expect(registry.find(id)).toBeDefined()
    for (let at = 0; at < id.length; at += 1) {
      const [front, rest] = [id.slice(0, at), id.slice(at + 1)]
      const other = id[at] === 'A' ? 'B' : 'A'
      expect(registry.find(front + other + rest)).toBeUndefined()
      expect(registry.find(front + rest)).toBeUndefined()
      expect(registry.find(`${front}A${id.slice(at)}`)).toBeUndefined()
    }
  })

  it('is unknown when it is anything else, another sealed box of ours included', () => {
    const box = sealJson(ring, { purpose: 'login' }, { r: [], g: [], t: 1 })
    for (const id of ['', 'client', 'https://client.example/metadata.json', box]) {
      expect(registry.find(id)).toBeUndefined()
    }
  })

  it('outlives a rotation of the keys, until its key leaves the ring', () => {
    const client = registry.register(metadata)
    expect(clients(keyRing([newer, older]), now).find(client.id)).toEqual(client)
    expect(clients(keyRing([newer]), now).find(client.id)).toBeUndefined()
  })

  it('of a registration that is too long for it is not issued', () => {
    const long = { ...metadata, redirect_uris: [`http://localhost/${'x'.repeat(2400)}`] }
    expect(refusal(() => registry.register(long))).toEqual({
      error: 'invalid_client_metadata',
      error_description: 'The registration is too long.',
    })
    const longest = { ...metadata, redirect_uris: [`http://localhost/${'x'.repeat(2300)}`] }
    expect(registry.register(longest).id.length).toBeLessThan(3300)
  })
})

describe('a client secret', () => {
  it('follows from the id: the same on every replica, another for another client', () => {
    const client = registry.register(metadata)
    const secret = registry.secretOf(client)
    expect(secret).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(clients(keyRing([older]), now).secretOf(client)).toBe(secret)
    expect(registry.secretOf(registry.register(metadata))).not.toBe(secret)
    expect(client.id).not.toContain(secret)
  })

  it('is the right one or is refused', () => {
    const client = registry.register(metadata)
    const secret = registry.secretOf(client) ?? ''
    expect(registry.isSecretOf(client, secret)).toBe(true)
    for (const wrong of ['', secret.slice(1), `${secret}x`, client.id, 'undefined']) {
      expect(registry.isSecretOf(client, wrong)).toBe(false)
    }
    expect(registry.isSecretOf(registry.register(metadata), secret)).toBe(false)
  })

  it('does not exist for a public client, so none is right', () => {
    const client = registry.register({ ...metadata, token_endpoint_auth_method: 'none' })
    expect(registry.secretOf(client)).toBeUndefined()
    expect(registry.isSecretOf(client, '')).toBe(false)
    expect(registry.isSecretOf(client, 'undefined')).toBe(false)
  })

  it('outlives a rotation of the keys, and leaves with its key', () => {
    const client = registry.register(metadata)
    const secret = registry.secretOf(client)
    expect(clients(keyRing([newer, older]), now).secretOf(client)).toBe(secret)
    const without = clients(keyRing([newer]), now)
    expect(without.secretOf(client)).toBeUndefined()
    expect(without.isSecretOf(client, secret ?? '')).toBe(false)
  })
})
