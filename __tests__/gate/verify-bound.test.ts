/** What a bound token costs, and what time does to a proof. The checks themselves are in flows/dpop.test.ts. */
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { startEntra } from 'mcp-entra/testing'
import { askBound, askToken, newKey, type ProofParts, proof } from '../support/dpop.js'
import { ask, startGate, type TestGate } from '../support/gate.js'
import type { Entra } from '../support/host.js'
import { getCode, login, redirectUri, type Tokens } from '../support/oauth-client.js'

let entra: Entra
let gate: TestGate
beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra)
})
afterEach(() => void jest.restoreAllMocks())
afterAll(async () => {
  await gate.close()
  await entra.close()
})

const key = newKey()
const seconds = ({ clock }: TestGate) => Math.floor(clock.now() / 1000)

/** Proofs of the test's clock. */
function proofAt(at: TestGate, method: string, path: string, token?: string, claims: object = {}) {
  const parts: ProofParts = { claims: { iat: seconds(at), ...claims } }
  return proof(key, method, at.url + path, token, parts)
}

async function boundToken(at: TestGate): Promise<string> {
  const { code, verifier, clientId } = await getCode(at.url)
  const params = { grant_type: 'authorization_code', code, code_verifier: verifier }
  const named = { ...params, client_id: clientId, redirect_uri: redirectUri }
  const response = await askToken(at.url, named, proofAt(at, 'POST', '/token'))
  const tokens = (await response.json()) as Tokens
  if (response.status !== 200) throw new Error(JSON.stringify(tokens))
  return tokens.access_token
}

describe('a bound token that the gate has seen', () => {
  it('costs one operation of the store and one signature', async () => {
    const token = await boundToken(gate)
    const target = `${gate.url}/mcp`
    await askBound(target, token, proofAt(gate, 'GET', '/mcp', token))
    gate.store.calls.length = 0
    const verify = jest.spyOn(crypto.subtle, 'verify')
    const imported = jest.spyOn(crypto.subtle, 'importKey')
    const response = await askBound(target, token, proofAt(gate, 'GET', '/mcp', token))
    expect(response.status).toBe(200)
    expect(gate.store.calls).toEqual(['add proof'])
    expect([verify.mock.calls.length, imported.mock.calls.length]).toEqual([1, 0])
  })

  it('costs a thief no operation of the store, and a wrong key not even a signature', async () => {
    const token = await boundToken(gate)
    await askBound(`${gate.url}/mcp`, token, proofAt(gate, 'GET', '/mcp', token))
    gate.store.calls.length = 0
    const verify = jest.spyOn(crypto.subtle, 'verify')
    const stolen = proof(newKey(), 'GET', `${gate.url}/mcp`, token, {
      claims: { iat: seconds(gate) },
    })
    expect((await askBound(`${gate.url}/mcp`, token, stolen)).status).toBe(401)
    expect(gate.store.calls).toEqual([])
    expect(verify).not.toHaveBeenCalled()
  })
})

describe('a bearer token that the gate has seen', () => {
  it('costs neither', async () => {
    const { access_token } = await login(gate.url)
    await ask(`${gate.url}/mcp`, access_token)
    gate.store.calls.length = 0
    const verify = jest.spyOn(crypto.subtle, 'verify')
    expect((await ask(`${gate.url}/mcp`, access_token)).status).toBe(200)
    expect(gate.store.calls).toEqual([])
    expect(verify).not.toHaveBeenCalled()
  })
})

describe('time', () => {
  it.each([
    [-298, 200],
    [-302, 401],
    [300, 200],
    [302, 401],
  ])('of a proof may be off by five minutes: %i seconds are a %i', async (offset, status) => {
    const token = await boundToken(gate)
    const dpop = proofAt(gate, 'GET', '/mcp', token, { iat: seconds(gate) + offset })
    expect((await askBound(`${gate.url}/mcp`, token, dpop)).status).toBe(status)
  })

  it('does not make a proof good again that was used, as long as it could be', async () => {
    const token = await boundToken(gate)
    const ahead = proofAt(gate, 'GET', '/mcp', token, { iat: seconds(gate) + 290 })
    expect((await askBound(`${gate.url}/mcp`, token, ahead)).status).toBe(200)
    for (const minutes of [5, 4]) {
      gate.clock.advance(minutes * 60)
      expect((await askBound(`${gate.url}/mcp`, token, ahead)).status).toBe(401)
    }
  })
})
