import { X509Certificate } from 'node:crypto'
import { mkdtemp, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { generate } from 'selfsigned'
import { clientCertificate } from '../../lib/entra/credential-certificate.js'
import type { ClientCredential, CredentialContext } from '../../lib/entra/credentials.js'
import type { EntraEmulator } from '../../lib/testing/index.js'
import { clock, outcome } from '../support/entra.js'
import {
  assertionsAt,
  certificate,
  clientId,
  legs,
  prepareLeg,
  runAllLegs,
  startApp,
  tenant,
} from '../support/legs.js'

type Certificate = Awaited<ReturnType<typeof certificate>>

let one: Certificate
let two: Certificate
let stranger: Certificate
let folder: string
let entra: EntraEmulator

beforeAll(async () => {
  ;[one, two, stranger] = await Promise.all([certificate(), certificate(), certificate()])
  folder = await mkdtemp(join(tmpdir(), 'mcp-entra-'))
  entra = await startApp({ certificates: [one.certificate, two.certificate] })
})
afterAll(async () => {
  await entra.close()
  await rm(folder, { recursive: true })
})
beforeEach(() => {
  entra.clearFaults()
  entra.clearRequests()
})

const context: CredentialContext = {
  clientId,
  tokenEndpoint: `https://login.example/${tenant}/oauth2/v2.0/token`,
  exchangeAudience: 'api://AzureADTokenExchange',
}

async function assertionOf(credential: ClientCredential, more: Partial<CredentialContext> = {}) {
  const proof = await credential({ ...context, ...more })
  return 'assertion' in proof ? proof.assertion : ''
}

/** As certificate stores do it: a new file takes the place of the old one. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

async function fileWith(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

describe('clientCertificate', () => {
  it('proves on every leg: code, refresh, on-behalf-of', async () => {
    await runAllLegs(entra, clientCertificate(one))
    const sent = assertionsAt(entra)
    expect(sent.map(({ grantType, status }) => [grantType, status])).toEqual(
      legs.map((name) => [name, 200]),
    )
    expect(sent.every(({ secret }) => secret === undefined)).toBe(true)
  })

  it('signs what Entra wants: PS256, x5t#S256, one audience, ten minutes', async () => {
    const now = clock()
    const assertion = await assertionOf(clientCertificate({ ...one, now }))
    expect(decodeProtectedHeader(assertion)).toEqual({
      alg: 'PS256',
      typ: 'JWT',
      'x5t#S256': one.thumbprint,
    })
    const seconds = now() / 1000
    expect(decodeJwt(assertion)).toEqual({
      iss: clientId,
      sub: clientId,
      aud: context.tokenEndpoint,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      iat: seconds,
      nbf: seconds,
      exp: seconds + 600,
    })
  })

  it('sends its chain along when it is told to, its own certificate first', async () => {
    const credential = clientCertificate({
      certificate: two.certificate + one.certificate,
      privateKey: one.privateKey,
      sendX5c: true,
    })
    expect(decodeProtectedHeader(await assertionOf(credential))).toMatchObject({
      'x5t#S256': one.thumbprint,
      x5c: [one, two].map((pair) => new X509Certificate(pair.certificate).raw.toString('base64')),
    })
  })

  it('keeps an assertion inside its life, less a minute, for each token endpoint', async () => {
    const now = clock()
    const credential = clientCertificate({ ...one, now })
    const first = await assertionOf(credential)
    const elsewhere = await assertionOf(credential, { tokenEndpoint: 'https://other.example' })
    expect(decodeJwt(elsewhere).aud).toBe('https://other.example')
    now.advance(539)
    expect(await assertionOf(credential)).toBe(first)
    now.advance(1)
    // It serves once more while the next one is signed.
    expect(await assertionOf(credential)).toBe(first)
    let second = first
    while (second === first) {
      await new Promise((resolve) => setImmediate(resolve))
      second = await assertionOf(credential)
    }
    expect(await assertionOf(credential)).toBe(second)
  })

  it('signs once for all who ask at the same time', async () => {
    const credential = clientCertificate(one)
    const all = await Promise.all(Array.from({ length: 20 }, () => assertionOf(credential)))
    expect(new Set(all).size).toBe(1)
  })

  it.each(legs)('is minted anew, once, when Entra finds it outdated: %s', async (name) => {
    const ask = await prepareLeg(entra, clientCertificate(one), name)
    entra.clearRequests()
    entra.fault({ at: 'token', error: 700024, times: 1 })
    expect(await ask()).toMatchObject({ accessToken: expect.any(String) })
    const [refused, accepted, ...more] = assertionsAt(entra)
    expect([refused?.error, accepted?.status, more]).toEqual([700024, 200, []])
    expect(accepted?.assertion).not.toBe(refused?.assertion)
  })

  it.each(legs)('is minted anew no second time: %s', async (name) => {
    const ask = await prepareLeg(entra, clientCertificate(one), name)
    entra.clearRequests()
    entra.fault({ at: 'token', error: 700024 })
    expect(await outcome(ask)).toMatchObject({ kind: 'misconfigured', codes: [700024] })
    expect(assertionsAt(entra).map(({ error }) => error)).toEqual([700024, 700024])
  })

  it('is not minted anew for any other refusal', async () => {
    const ask = await prepareLeg(entra, clientCertificate(one), 'refresh_token')
    entra.clearRequests()
    entra.fault({ at: 'token', error: 700027 })
    expect(await outcome(ask)).toMatchObject({ codes: [700027] })
    expect(assertionsAt(entra)).toHaveLength(1)
  })

  it('is refused by Entra when it is not registered (AADSTS700027), and the operator hears it', async () => {
    const ask = await prepareLeg(entra, clientCertificate(stranger), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({
      kind: 'misconfigured',
      codes: [700027],
      hint: expect.stringContaining('Certificates'),
    })
  })

  it('does not sign with a certificate that has expired, and says so', async () => {
    const now = clock(Date.parse(new X509Certificate(one.certificate).validTo))
    const ask = await prepareLeg(entra, clientCertificate({ ...one, now }), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({
      kind: 'misconfigured',
      message: expect.stringContaining('expired on'),
      hint: expect.stringContaining('Renew the certificate'),
    })
    expect(entra.requestsTo('token')).toHaveLength(0)
  })

  it('shows its key to nobody who prints it', () => {
    const credential = clientCertificate({ ...one, passphrase: 'pass-phrase' })
    for (const shown of [
      inspect(credential, { depth: 9, showHidden: true }),
      String(JSON.stringify({ credential })),
      String(credential),
    ]) {
      expect(shown).not.toMatch(/BEGIN|pass-phrase/)
    }
  })
})

describe('clientCertificate from files', () => {
  it('takes certificate and key from one file, or from two', async () => {
    const path = await fileWith('both.pem', one.both)
    const certificatePath = await fileWith('tls.crt', two.certificate)
    const keyPath = await fileWith('tls.key', two.privateKey)
    await runAllLegs(entra, clientCertificate({ path }))
    await runAllLegs(entra, clientCertificate({ path: certificatePath, keyPath }))
    expect(assertionsAt(entra).every(({ status }) => status === 200)).toBe(true)
  })

  it('opens an encrypted key with its passphrase', async () => {
    const path = await fileWith('locked.pem', one.encrypted('open sesame') + one.certificate)
    await runAllLegs(entra, clientCertificate({ path, passphrase: 'open sesame' }))
  })

  it('goes over to the new certificate under load, without one refusal', async () => {
    const path = await fileWith('rotated.pem', one.both)
    const ask = await prepareLeg(entra, clientCertificate({ path }), 'on_behalf_of')
    await ask()
    const load = (count: number) => Promise.all(Array.from({ length: count }, ask))
    const before = load(25)
    await replace(path, two.both)
    await Promise.all([before, load(25)])
    const sent = assertionsAt(entra)
    expect(sent.every(({ status }) => status === 200)).toBe(true)
    const thumbprints = sent.map(({ assertion }) => decodeProtectedHeader(assertion)['x5t#S256'])
    expect(thumbprints[0]).toBe(one.thumbprint)
    expect(thumbprints.at(-1)).toBe(two.thumbprint)
    expect(new Set(sent.map(({ assertion }) => assertion)).size).toBe(2)
  })

  it('sees a change of the time alone, and of the content alone', async () => {
    const path = await fileWith('times.pem', one.both)
    const credential = clientCertificate({ path })
    const first = await assertionOf(credential)
    expect(await assertionOf(credential)).toBe(first)
    await utimes(path, new Date(), new Date(Date.now() + 1000))
    const second = await assertionOf(credential)
    expect(second).not.toBe(first)
    await writeFile(path, two.both)
    await utimes(path, new Date(), new Date(Date.now() + 2000))
    expect(decodeProtectedHeader(await assertionOf(credential))).toMatchObject({
      'x5t#S256': two.thumbprint,
    })
  })

  it('goes on with the old pair while only half of it has been replaced, or nothing is there', async () => {
    const path = await fileWith('half.crt', one.certificate)
    const keyPath = await fileWith('half.key', one.privateKey)
    const credential = clientCertificate({ path, keyPath })
    const old = await assertionOf(credential)
    await replace(path, two.certificate)
    expect(await assertionOf(credential)).toBe(old)
    await rm(keyPath)
    expect(await assertionOf(credential)).toBe(old)
    await replace(keyPath, two.privateKey)
    expect(decodeProtectedHeader(await assertionOf(credential))).toMatchObject({
      'x5t#S256': two.thumbprint,
    })
  })

  it('starts with what it read at creation when the file is gone by then', async () => {
    const path = await fileWith('gone.pem', one.both)
    const credential = clientCertificate({ path })
    await rm(path)
    expect(decodeProtectedHeader(await assertionOf(credential))).toMatchObject({
      'x5t#S256': one.thumbprint,
    })
  })
})

describe('clientCertificate refuses at creation', () => {
  it.each<[string, RegExp, () => unknown]>([
    ['nothing', /certificate is missing: give/, () => ({})],
    ['a certificate alone', /privateKey is missing/, () => ({ certificate: one.certificate })],
    ['an empty path', /path is missing/, () => ({ path: '' })],
    ['a file that is not there', /cannot be read: .*nowhere/, () => ({ path: '/nowhere.pem' })],
    ['no certificate', /no certificate/, () => ({ ...one, certificate: one.privateKey })],
    [
      'a broken certificate',
      /certificate cannot be read/,
      () => ({ ...one, certificate: one.certificate.replace(/M/g, 'A') }),
    ],
    ['no key', /no private key/, () => ({ ...one, privateKey: one.certificate })],
    [
      'a locked key',
      /private key cannot be read: check the passphrase/,
      () => ({ ...one, privateKey: one.encrypted('x') }),
    ],
    [
      'a wrong passphrase',
      /check the passphrase/,
      () => ({ ...one, privateKey: one.encrypted('x'), passphrase: 'y' }),
    ],
    [
      "another certificate's key",
      /not the certificate's/,
      () => ({ ...one, privateKey: two.privateKey }),
    ],
  ])('%s', (_what, words, make) => {
    const create = () => clientCertificate(make() as never)
    expect(create).toThrow(TypeError)
    expect(create).toThrow(/^clientCertificate: /)
    expect(create).toThrow(words)
    expect(create).not.toThrow(/BEGIN [A-Z ]*KEY-----\n|MII/)
  })

  it('keys Entra does not take: EC', async () => {
    const pair = await generate([{ name: 'commonName', value: 'x' }], { keyType: 'ec' })
    const create = () => clientCertificate({ certificate: pair.cert, privateKey: pair.private })
    expect(create).toThrow(/RSA keys of 2048 bits/)
  })
})
