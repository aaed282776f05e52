/** Any `TokenCredential` as the app's own proof: the real `@azure/identity` against the emulator, then what it may do wrong. */
import { inspect } from 'node:util'
import type { TokenCredential } from '@azure/core-auth'
import {
  AzurePipelinesCredential,
  ChainedTokenCredential,
  DefaultAzureCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from '@azure/identity'
import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals'
import { decodeJwt } from 'jose'
import { entraAuthority } from '../../lib/entra/authority.js'
import type { Cloud } from '../../lib/entra/clouds.js'
import {
  type AccessTokenLike,
  federatedCredential,
  type TokenCredentialLike,
} from '../../lib/entra/credential-federated.js'
import type { CredentialContext } from '../../lib/entra/credentials.js'
import { EntraError } from '../../lib/entra/errors.js'
import { tokenEndpoint } from '../../lib/entra/token-endpoint.js'
import { upstreamDetail } from '../../lib/login/upstream-outcome.js'
import { memoryStorage } from '../../lib/storage/memory.js'
import type { EntraEmulator } from '../../lib/testing/index.js'
import {
  managedIdentityNumber,
  type Platforms,
  startPlatforms,
  systemAccessToken,
} from '../support/azure-identity.js'
import { clock, outcome } from '../support/entra.js'
import {
  assertionsAt,
  clientId,
  graph,
  legs,
  prepareLeg,
  runAllLegs,
  startApp,
  tenant,
} from '../support/legs.js'
import { login, refresh } from '../support/oauth-client.js'
import { startProxy, startTestEntra } from '../support/proxy.js'

const exchange = 'api://AzureADTokenExchange'
/** MSAL keeps their tokens for the whole process, so each test takes an identity of its own. */
const identities = Array.from({ length: 16 }, (_, index) => managedIdentityNumber(index))
/** One that the app registration does not know. */
const untrusted = managedIdentityNumber(99)
const clouds: readonly (readonly [Cloud, string])[] = [
  ['public', exchange],
  ['usgov', `${exchange}USGov`],
  ['china', `${exchange}China`],
]
let entra: EntraEmulator
let platforms: Platforms

beforeAll(async () => {
  const [first, second, third, ...others] = identities
  entra = await startApp(
    {
      federatedCredentials: [
        // The first three stand for one identity in each of the clouds.
        ...[first, second, third].map((identity, index) => ({
          subject: identity?.principalId ?? '',
          audience: clouds[index]?.[1] ?? '',
        })),
        ...others.map(({ principalId }) => ({ subject: principalId })),
      ],
    },
    { managedIdentities: [...identities, untrusted] },
  )
  platforms = await startPlatforms(entra)
  Object.assign(process.env, entra.identityEnvironment.appService, {
    SYSTEM_OIDCREQUESTURI: platforms.oidcRequestUri,
  })
})
afterAll(async () => {
  await platforms.close()
  await entra.close()
})
beforeEach(() => {
  entra.clearFaults()
  entra.clearRequests()
})

let taken = clouds.length
/** An identity whose token nobody has asked for yet. */
function anotherIdentity() {
  const identity = identities[taken++]
  if (!identity) throw new Error('the machine has no more identities')
  return identity
}

/** The credentials an application would make, each for the given identity. */
const credentials = {
  ManagedIdentityCredential: (of: string) => new ManagedIdentityCredential({ clientId: of }),
  WorkloadIdentityCredential: (of: string) => {
    const { httpClient, tokenFile: tokenFilePath } = platforms
    return new WorkloadIdentityCredential({
      tenantId: tenant,
      clientId: of,
      tokenFilePath,
      httpClient,
    })
  },
  AzurePipelinesCredential: (of: string) => {
    const { httpClient } = platforms
    return new AzurePipelinesCredential(tenant, of, 'azure', systemAccessToken, { httpClient })
  },
  ChainedTokenCredential: (of: string) => {
    const absent = { getToken: () => Promise.resolve(null) }
    return new ChainedTokenCredential(absent, new ManagedIdentityCredential({ clientId: of }))
  },
  DefaultAzureCredential: (of: string) =>
    new DefaultAzureCredential({ managedIdentityClientId: of }),
} as const
const names = Object.keys(credentials) as (keyof typeof credentials)[]
/** Those that reach Entra's token endpoint, and can be made to go past their cache. */
const renewable = ['WorkloadIdentityCredential', 'AzurePipelinesCredential'] as const

/** What went to Entra on our own legs, and not to get the identity's token. */
const proofs = () =>
  assertionsAt(entra).filter(({ grantType }) => grantType !== 'client_credentials')

describe.each(names)('federatedCredential(new %s(…))', (name) => {
  it('proves on every leg with one token of the managed identity', async () => {
    const identity = anotherIdentity()
    await runAllLegs(entra, federatedCredential(credentials[name](identity.clientId)))
    const sent = proofs()
    expect(sent.map(({ grantType, status }) => [grantType, status])).toEqual(
      legs.map((grantType) => [grantType, 200]),
    )
    expect(new Set(sent.map(({ assertion }) => assertion)).size).toBe(1)
    expect(decodeJwt(sent[0]?.assertion ?? '')).toMatchObject({
      aud: exchange,
      sub: identity.principalId,
      azp: identity.clientId,
      iss: `${entra.url}/${tenant}/v2.0`,
    })
  })
})

describe('federatedCredential with the clouds', () => {
  it.each(clouds)('asks for the audience of the cloud: %s, %s', async (cloud, audience) => {
    const identity = identities[clouds.findIndex(([name]) => name === cloud)]
    const azure = new ManagedIdentityCredential({ clientId: identity?.clientId ?? '' })
    const at = tokenEndpoint({
      authority: entraAuthority({ cloud, host: entra.url, tenantId: tenant }),
      clientId,
      credential: federatedCredential(azure),
    })
    const assertion = await entra.mintAccessToken()
    await at.onBehalfOf({ assertion, scopes: [graph], tenant })
    expect(entra.requestsTo('identity').map(({ params }) => params.resource)).toEqual([audience])
    expect(proofs().map(({ status }) => status)).toEqual([200])
  })
})

describe('federatedCredential when Entra finds the assertion outdated (AADSTS700024)', () => {
  it.each(legs)('makes the credential go past its cache, once: %s', async (name) => {
    const azure = credentials.WorkloadIdentityCredential(identities[4]?.clientId ?? '')
    const ask = await prepareLeg(entra, federatedCredential(azure), name)
    entra.fault({ at: 'token', grant: name, error: 700024, times: 1 })
    entra.clearRequests()
    await ask()
    const [refused, accepted, ...more] = proofs()
    expect([refused?.error, accepted?.status, more]).toEqual([700024, 200, []])
    expect(accepted?.assertion).not.toBe(refused?.assertion)
  })

  it.each(renewable)(
    'asks Entra with the challenge of a token issued too early: %s',
    async (name) => {
      const now = clock(entra.now() * 1000)
      const azure = credentials[name](identities[4]?.clientId ?? '')
      const ask = await prepareLeg(entra, federatedCredential(azure, { now }), 'on_behalf_of')
      await ask()
      entra.fault({ at: 'token', grant: 'on_behalf_of', error: 700024, times: 1 })
      entra.clearRequests()
      await ask()
      const [asked, ...more] = entra
        .requestsTo('token')
        .filter(({ grantType }) => grantType === 'client_credentials')
      expect(more).toEqual([])
      expect(JSON.parse(asked?.params.claims ?? '{}')).toMatchObject({
        access_token: { nbf: { essential: true, value: String(now() / 1000) } },
      })
    },
  )

  it('does not send a managed identity’s token twice: its credential has no other until its cache lets go', async () => {
    const azure = new ManagedIdentityCredential({ clientId: anotherIdentity().clientId })
    const ask = await prepareLeg(entra, federatedCredential(azure), 'on_behalf_of')
    entra.fault({ at: 'token', error: 700024, times: 1 })
    expect(await outcome(ask)).toMatchObject({ kind: 'misconfigured', codes: [700024] })
    expect(proofs()).toHaveLength(1)
    expect(entra.requestsTo('identity')).toHaveLength(1)
    await ask()
  })
})

describe('federatedCredential when a credential of @azure/identity fails', () => {
  it('is an outage that tells the operator in the credential’s own words, and then it works', async () => {
    const azure = new ManagedIdentityCredential({
      clientId: anotherIdentity().clientId,
      retryOptions: { maxRetries: 0 },
    })
    const ask = await prepareLeg(entra, federatedCredential(azure), 'on_behalf_of')
    entra.fault({ at: 'identity', status: 400, times: 1 })
    const error = await outcome(ask)
    expect(error).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/^the token credential failed: ManagedIdentityCredential: /),
      hint: expect.stringContaining('clientSecret'),
    })
    expect(entra.requestsTo('token')).toHaveLength(0)
    expect(upstreamDetail(error as EntraError)).toMatchObject({
      reason: 'unavailable',
      detail: (error as EntraError).message,
    })
    expect(await ask()).toMatchObject({ accessToken: expect.any(String) })
  })

  it('keeps the pipeline’s own token out of it, which AzurePipelinesCredential of 4.13 puts into its message', async () => {
    const azure = credentials.AzurePipelinesCredential(anotherIdentity().clientId)
    const { answer } = platforms.azureDevOps
    platforms.azureDevOps.answer = () => ({ body: '' })
    const error = await outcome(await prepareLeg(entra, federatedCredential(azure), 'on_behalf_of'))
    expect((error as Error).message).toMatch(
      /^the token credential failed: AzurePipelinesCredential: Authentication Failed\. Received null token/,
    )
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain(systemAccessToken)
    platforms.azureDevOps.answer = answer
  })

  it('tells the operator when the app does not trust the identity (AADSTS700213)', async () => {
    const azure = new ManagedIdentityCredential({ clientId: untrusted.clientId })
    const ask = await prepareLeg(entra, federatedCredential(azure), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({ kind: 'misconfigured', codes: [700213] })
  })

  it('is a 503 for clients, words for the operator, and no lost session', async () => {
    const ours = await startTestEntra()
    const storage = memoryStorage()
    const proxy = await startProxy(ours, { storage })
    const session = await login(proxy.url)
    for (const [answer, detail] of [
      [() => Promise.resolve(null), 'the token credential gave no token'],
      [
        () => Promise.reject(new Error('no identity eyJh.eyJi.c')),
        'the token credential failed: no identity [hidden]',
      ],
    ] as const) {
      proxy.logs.length = 0
      proxy.restart({ storage, credential: federatedCredential({ getToken: answer }) })
      const response = await refresh(proxy.url, session)
      expect(response.status).toBe(503)
      expect(response.headers.get('retry-after')).toMatch(/^[1-9]/)
      expect(await response.json()).toMatchObject({ error: 'temporarily_unavailable' })
      expect(proxy.logs).toContainEqual(
        expect.objectContaining({ message: 'mcp-entra: failure', endpoint: 'token', detail }),
      )
    }
    proxy.restart({ storage })
    expect((await refresh(proxy.url, session)).status).toBe(200)
  })
})

const context: CredentialContext = {
  clientId,
  tokenEndpoint: 'https://login.example/token',
  exchangeAudience: exchange,
}
const start = Date.UTC(2026, 10, 24)
const hour = 3_600_000

/** Lets promises that are settled tell everybody who waits. */
const turn = () => new Promise((resolve) => setImmediate(resolve))

/** A credential that gives the same answer again and again. */
function always(token: string, expiresOnTimestamp = Date.now() + hour): TokenCredential {
  return { getToken: () => Promise.resolve({ token, expiresOnTimestamp }) }
}

/** A credential that numbers its tokens, which live for an hour, and keeps what it was asked. */
function counting(now: () => number, more: Partial<AccessTokenLike> = {}) {
  const asked: { scopes: string | string[]; options: object | undefined }[] = []
  const credential: TokenCredentialLike = {
    getToken(scopes, options) {
      asked.push({ scopes, options })
      const token = `token-${asked.length}`
      return Promise.resolve({ token, expiresOnTimestamp: now() + hour, ...more })
    },
  }
  return { credential, asked }
}

describe('federatedCredential with any TokenCredential', () => {
  it('asks once for all who wait, with the scope of the audience and a signal', async () => {
    const { credential, asked } = counting(() => start)
    const proof = federatedCredential(credential, { now: () => start })
    const proofs = await Promise.all(Array.from({ length: 20 }, () => proof(context)))
    expect(new Set(proofs.map((each) => JSON.stringify(each)))).toEqual(
      new Set(['{"assertion":"token-1"}']),
    )
    expect(asked).toEqual([
      { scopes: `${exchange}/.default`, options: { abortSignal: expect.any(AbortSignal) } },
    ])
  })

  it('keeps a token, whatever its form, until a minute before expiresOnTimestamp', async () => {
    const now = clock(start)
    const { credential, asked } = counting(now)
    const proof = federatedCredential(credential, { now })
    await proof(context)
    now.advance(3539)
    expect(await proof(context)).toEqual({ assertion: 'token-1' })
    expect(asked).toHaveLength(1)
    now.advance(1)
    // The old one still serves while the new one is on its way.
    expect(await proof(context)).toEqual({ assertion: 'token-1' })
    await turn()
    expect(await proof(context)).toEqual({ assertion: 'token-2' })
    expect(asked).toHaveLength(2)
  })

  it('asks for the next one early when the credential says so (refreshAfterTimestamp)', async () => {
    const now = clock(start)
    const { credential, asked } = counting(now, { refreshAfterTimestamp: start + 600_000 })
    const proof = federatedCredential(credential, { now })
    await proof(context)
    now.advance(599)
    await proof(context)
    expect(asked).toHaveLength(1)
    now.advance(1)
    await proof(context)
    expect(asked).toHaveLength(2)
  })

  it('goes on with a token until its end, without waiting, when the credential fails or hangs before', async () => {
    const now = clock(start)
    let end: (answer: null) => void = () => undefined
    const answers: (() => Promise<AccessTokenLike | null>)[] = [
      () => Promise.resolve({ token: 'good', expiresOnTimestamp: start + hour }),
      () => Promise.reject(new Error('no endpoint')),
      () => new Promise<null>((resolve) => (end = resolve)),
    ]
    const getToken = () => (answers.shift() ?? (() => Promise.resolve(null)))()
    const proof = federatedCredential({ getToken }, { now })
    await proof(context)
    now.advance(3550)
    for (let i = 0; i < 3; i++) {
      expect(await proof(context)).toEqual({ assertion: 'good' })
      await turn()
    }
    expect(answers).toEqual([])
    end(null)
  })

  it('is not blocked for good by a call that never ends: after 30 seconds it is given up and aborted', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask', 'performance'] })
    let signal: AbortSignal | undefined
    let hangs = true
    const credential: TokenCredentialLike = {
      getToken(_scopes, options) {
        signal = options?.abortSignal
        if (hangs) return new Promise(() => undefined)
        return Promise.resolve({ token: 'good', expiresOnTimestamp: Date.now() + hour })
      },
    }
    const proof = federatedCredential(credential)
    const first = outcome(() => proof(context))
    jest.advanceTimersByTime(30_000)
    expect(await first).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching('30 s'),
    })
    expect(signal?.aborted).toBe(true)
    hangs = false
    expect(await proof(context)).toEqual({ assertion: 'good' })
    jest.useRealTimers()
  })

  it('does not take a token that was under way already for the answer to a rejection', async () => {
    const now = clock(start)
    const under: ((token: string) => void)[] = []
    const getToken = () =>
      new Promise<AccessTokenLike>((resolve) => {
        under.push((token) => resolve({ token, expiresOnTimestamp: start + hour }))
      })
    const proof = federatedCredential({ getToken }, { now })
    const first = proof(context)
    const rejected = proof({ ...context, rejected: 'old' })
    under[0]?.('old')
    expect(await first).toEqual({ assertion: 'old' })
    under[1]?.('new')
    expect(await rejected).toEqual({ assertion: 'new' })
  })

  it.each([undefined, Number.NaN, '2026'])(
    'goes by the exp of the JWT when expiresOnTimestamp is %j',
    async (odd) => {
      const now = clock(entra.now() * 1000)
      const token = await entra.mintAccessToken({ expiresIn: 1000 })
      let count = 0
      const getToken = () => {
        count++
        return Promise.resolve({ token, expiresOnTimestamp: odd as number })
      }
      const proof = federatedCredential({ getToken }, { now })
      await proof(context)
      now.advance(900)
      await proof(context)
      expect(count).toBe(1)
      now.advance(41)
      await proof(context)
      expect(count).toBe(2)
    },
  )

  it('keeps the tokens of two audiences apart', async () => {
    const { credential, asked } = counting(() => start)
    const proof = federatedCredential(credential, { now: () => start })
    const elsewhere = { ...context, exchangeAudience: `${exchange}China` }
    for (const each of [context, elsewhere, context, elsewhere]) await proof(each)
    expect(asked.map(({ scopes }) => scopes)).toEqual([
      `${exchange}/.default`,
      `${exchange}China/.default`,
    ])
  })

  it.each<[string, unknown]>([
    ['null', null],
    ['undefined', undefined],
    ['no token', {}],
    ['an empty token', { token: '', expiresOnTimestamp: start + hour }],
    ['a token that is no text', { token: 7, expiresOnTimestamp: start + hour }],
    ['a bare text', 'eyJ'],
  ])('is a misconfiguration when getToken answers %s', async (_what, answer) => {
    const getToken = () => Promise.resolve(answer as null)
    const ask = await prepareLeg(entra, federatedCredential({ getToken }), 'on_behalf_of')
    expect(await outcome(ask)).toMatchObject({
      kind: 'misconfigured',
      message: 'the token credential gave no token',
      hint: expect.stringContaining('ManagedIdentityCredential'),
    })
    expect(entra.requestsTo('token')).toHaveLength(0)
  })

  it('is an outage when getToken throws at once, whatever it throws', async () => {
    for (const thrown of [new Error('no identity here'), 'no identity here', null, { a: 1 }]) {
      const getToken = () => {
        throw thrown
      }
      const error = await outcome(() => federatedCredential({ getToken })(context))
      expect(error).toBeInstanceOf(EntraError)
      expect(error).toMatchObject({ kind: 'unavailable' })
    }
  })

  it.each([undefined, null, 'secret', {}, () => null])('refuses %p at creation', (wrong) => {
    expect(() => federatedCredential(wrong as never)).toThrow(
      new TypeError(
        'federatedCredential: give a TokenCredential, such as new ManagedIdentityCredential({ clientId }) of @azure/identity',
      ),
    )
  })

  it('shows no token to anybody who prints it', async () => {
    const credential = federatedCredential(always('token-that-nobody-may-see'))
    await credential(context)
    expect(inspect(credential, { depth: 9, showHidden: true })).not.toContain('nobody')
  })
})
