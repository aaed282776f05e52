import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { workloadIdentity } from '../../lib/entra/credential-workload-identity.js'
import type { EntraEmulator } from '../../lib/testing/index.js'
import { outcome, type TestKey, testKey, waitUntil } from '../support/entra.js'
import { assertionsAt, legs, prepareLeg, runAllLegs, startApp } from '../support/legs.js'

const issuer = 'https://aks.example/oidc/'
const subject = 'system:serviceaccount:mcp:notes'
let key: TestKey
let entra: EntraEmulator
let folder: string
let tokenFile: string

beforeAll(async () => {
  key = await testKey('cluster')
  entra = await startApp({ federatedCredentials: [{ issuer, subject }] })
})
afterAll(() => entra.close())
beforeEach(async () => {
  entra.clearFaults()
  entra.clearRequests()
  folder = await mkdtemp(join(tmpdir(), 'mcp-entra-'))
  tokenFile = join(folder, 'token')
})
afterEach(() => rm(folder, { recursive: true }))

async function put(text: string): Promise<void> {
  await writeFile(`${tokenFile}.new`, text)
  await rename(`${tokenFile}.new`, tokenFile)
}

const serviceAccountToken = (more: object = {}) => {
  const iat = entra.now()
  const aud = ['api://AzureADTokenExchange']
  return key.sign({ iss: issuer, sub: subject, aud, iat, nbf: iat, exp: iat + 3600, ...more })
}

describe('workloadIdentity', () => {
  it('proves on every leg with the token in the file', async () => {
    const token = await serviceAccountToken()
    await put(`${token}\n`)
    await runAllLegs(entra, workloadIdentity({ tokenFile }))
    expect(assertionsAt(entra)).toEqual(
      legs.map((grantType) => ({ grantType, assertion: token, status: 200 })),
    )
  })

  it('reads the file anew each time it has changed', async () => {
    await put(await serviceAccountToken())
    const ask = await prepareLeg(entra, workloadIdentity({ tokenFile }), 'on_behalf_of')
    await ask()
    await ask()
    for (const jti of ['1', '2']) {
      await put(await serviceAccountToken({ jti }))
      await ask()
    }
    const sent = assertionsAt(entra).map(({ assertion }) => assertion)
    expect(sent[1]).toBe(sent[0])
    expect(new Set(sent).size).toBe(3)
  })

  it('has an outdated token replaced when the file holds another by now', async () => {
    await put(await serviceAccountToken({ exp: entra.now() - 400 }))
    const ask = await prepareLeg(entra, workloadIdentity({ tokenFile }), 'on_behalf_of')
    const fresh = await serviceAccountToken()
    entra.fault({ at: 'token', delay: 0.3, times: 1 })
    const asked = ask()
    await waitUntil(() => entra.requestsTo('token').length > 0)
    await put(fresh)
    await asked
    expect(assertionsAt(entra).map(({ status, error }) => error ?? status)).toEqual([700024, 200])
  })

  it('is told about an outdated token once when the file holds no other', async () => {
    await put(await serviceAccountToken({ exp: entra.now() - 400 }))
    const ask = await prepareLeg(entra, workloadIdentity({ tokenFile }), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({ kind: 'misconfigured', codes: [700024] })
    expect(assertionsAt(entra)).toHaveLength(1)
  })

  it('goes on with the last token while the file is gone or half-written', async () => {
    const token = await serviceAccountToken()
    await put(token)
    const ask = await prepareLeg(entra, workloadIdentity({ tokenFile }), 'on_behalf_of')
    await ask()
    await put(token.slice(0, 20))
    await ask()
    await rm(tokenFile)
    await ask()
    expect(assertionsAt(entra).map(({ status }) => status)).toEqual([200, 200, 200])
  })

  it('need not have its file at start, and says what is missing when it is asked', async () => {
    const ask = await prepareLeg(entra, workloadIdentity({ tokenFile }), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({
      kind: 'misconfigured',
      message: expect.stringMatching(`^no token can be read from ${tokenFile}: ENOENT`),
      hint: expect.stringContaining('azure.workload.identity/use'),
    })
    expect(entra.requestsTo('token')).toHaveLength(0)
    await put(await serviceAccountToken())
    expect(await ask()).toMatchObject({ accessToken: expect.any(String) })
  })

  it('looks where AKS puts it when nothing is said', async () => {
    const ask = await prepareLeg(entra, workloadIdentity(), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({
      message: expect.stringContaining('/var/run/secrets/azure/tokens/azure-identity-token'),
    })
  })

  it('tells the operator when subjects differ, in case alone too (AADSTS700213, 7002138)', async () => {
    for (const [sub, code] of [
      ['system:serviceaccount:mcp:other', 700213],
      ['system:serviceaccount:MCP:notes', 7002138],
    ] as const) {
      await put(await serviceAccountToken({ sub }))
      const ask = await prepareLeg(entra, workloadIdentity({ tokenFile }), 'on_behalf_of')
      expect(await outcome(ask)).toMatchObject({
        kind: 'misconfigured',
        codes: [code],
        hint: expect.stringContaining('case-sensitive'),
      })
    }
  })

  it('tells the operator of a token with several audiences (AADSTS5002741)', async () => {
    await put(await serviceAccountToken({ aud: ['api://AzureADTokenExchange', 'x'] }))
    const ask = await prepareLeg(entra, workloadIdentity({ tokenFile }), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({ codes: [5002741], hint: expect.any(String) })
  })

  it.each(['', 7])('refuses the path %j at creation', (path) => {
    expect(() => workloadIdentity({ tokenFile: path as string })).toThrow(
      new TypeError('workloadIdentity: tokenFile must be the path of a file'),
    )
  })

  it('shows no token to anybody who prints it', async () => {
    await put(await serviceAccountToken())
    const credential = workloadIdentity({ tokenFile })
    await runAllLegs(entra, credential)
    expect(inspect(credential, { depth: 9, showHidden: true })).not.toContain('eyJ')
  })
})
