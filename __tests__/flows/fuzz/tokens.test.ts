/** What looks like a token and is none: always 401, never an exception out of the gate. */
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { startEntra } from 'mcp-entra/testing'
import { bounded } from '../../support/fuzz.js'
import { ask, decode, encode, startGate, type TestGate } from '../../support/gate.js'
import type { Entra } from '../../support/host.js'
import { login } from '../../support/oauth-client.js'

let entra: Entra
let gate: TestGate
let good: string[]
beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra)
  good = [(await login(gate.url)).access_token, await entra.mintAccessToken()]
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

async function expectRefused(token: string): Promise<void> {
  const response = await ask(`${gate.url}/mcp`, token)
  const challenge = response.headers.get('www-authenticate') ?? ''
  expect({ status: response.status, challenge }).toEqual({
    status: 401,
    challenge: expect.stringMatching(/^Bearer .*resource_metadata="http/),
  })
  await response.arrayBuffer()
}

const json = fc.jsonValue({ maxDepth: 3 })
const algorithms = fc.constantFrom('none', 'None', 'HS256', 'RS256', 'ES256', 'ES384', 'EdDSA', '')
const headers = fc.record(
  {
    alg: fc.oneof(algorithms, json),
    typ: fc.oneof(fc.constantFrom('JWT', 'at+jwt', 'AT+JWT', 'application/at+jwt'), json),
    kid: fc.oneof(
      fc.constantFrom('__proto__', 'constructor', '', '../../x', 'x'.repeat(500)),
      json,
    ),
    crit: json,
    jwk: json,
    x5c: json,
    b64: fc.boolean(),
  },
  { requiredKeys: [] },
)
const claims = fc.dictionary(
  fc.constantFrom('iss', 'aud', 'exp', 'nbf', 'iat', 'sub', 'scp', 'tid', 'oid', 'ver', 'sid', 'x'),
  json,
)
const visible = fc.string({ unit: fc.constantFrom(...'abcXYZ019._-~+/=,;:!@'), maxLength: 300 })

describe('what is no token', () => {
  it('is 401, whatever it is made of', async () => {
    const parts = fc.array(
      fc.oneof(
        visible,
        json.map((value) => Buffer.from(JSON.stringify(value)).toString('base64url')),
      ),
      { minLength: 1, maxLength: 6 },
    )
    await fc.assert(
      fc.asyncProperty(parts, async (list) => {
        const text = list.join('.')
        if (text.trim() !== '') await expectRefused(text)
      }),
      bounded,
    )
  })

  it('is 401, whatever header and claims it was given', async () => {
    await fc.assert(
      fc.asyncProperty(headers, claims, visible, (header, payload, signature) =>
        expectRefused(`${encode(header)}.${encode(payload)}.${signature.replace(/[^\w-]/g, '')}`),
      ),
      bounded,
    )
  })

  it('is 401 with the header or the claims of a good one changed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(1), headers, claims, async (which, header, payload) => {
        const token = good[which] ?? ''
        const { header: right, claims: all } = decode(token)
        const changed = `${encode({ ...right, ...header })}.${encode({ ...all, ...payload })}`
        if (token.startsWith(`${changed}.`)) return
        await expectRefused(`${changed}.${token.split('.')[2]}`)
        const hmac = createHmac('sha256', 'x').update(changed).digest('base64url')
        await expectRefused(`${changed}.${hmac}`)
      }),
      bounded,
    )
  })

  it('is 401 with one character of a good one replaced, and the good one stays good', async () => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~='
    const characters = fc.constantFrom(...alphabet)
    await fc.assert(
      fc.asyncProperty(fc.nat(1), fc.nat(3000), characters, async (which, at, character) => {
        const token = good[which] ?? ''
        const place = at % token.length
        if (token[place] === character) return
        await expectRefused(token.slice(0, place) + character + token.slice(place + 1))
      }),
      bounded,
    )
    for (const token of good) expect((await ask(`${gate.url}/mcp`, token)).status).toBe(200)
  })
})
