/** `mcp-entra doctor` finds what is planted in the settings: that, and nothing else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { type EntraAppOptions, startEntra } from 'mcp-entra/testing'
import { generate } from 'selfsigned'
import { freePort } from '../../../bench/free-port.js'
import type { Diagnosis, Finding } from '../../../lib/cli/doctor/finding.js'
import { type CliOptions, cli } from '../../support/cli.js'
import type { Entra } from '../../support/host.js'
import { startIdentityProvider } from '../../support/identity-provider.js'
import { certificate } from '../../support/legs.js'
import { describeWithOwnRedis, type OwnRedis, startRedis } from '../../support/redis-server.js'

const directory = mkdtempSync(join(tmpdir(), 'mcp-entra-doctor-'))
const expired = join(directory, 'expired.pem')
const good = join(directory, 'good.pem')
const goodKey = 'qH2n8Yw0Vd6uEwZ3tXg5Lr1SkPb9Jc7M'
const tenant = 'c0a70500-0000-4000-8000-00000000c050'
const [v1App, uriApp, certificateApp, blueprintApp, directApp] = ['a1', 'a2', 'a3', 'a4', 'a5'].map(
  (digits) => `a9900001-0000-4000-8000-0000000000${digits}`,
) as [string, string, string, string, string]
const agent = 'a9e00001-0000-4000-8000-00000000a9e0'

let entra: Entra
beforeAll(async () => {
  const pair = await certificate()
  writeFileSync(good, pair.both)
  const old = await generate([{ name: 'commonName', value: 'notes' }], {
    algorithm: 'sha256',
    notBeforeDate: new Date('2020-01-01'),
    notAfterDate: new Date('2021-01-01'),
  })
  writeFileSync(expired, `${old.private}\n${old.cert}`)
  const app = (clientId: string, more: Partial<EntraAppOptions>): EntraAppOptions => ({
    clientId,
    tenantId: tenant,
    secrets: ['notes-mcp-secret'],
    redirectUris: ['http://localhost/auth/callback', 'https://mcp.contoso.example/auth/callback'],
    scopes: ['notes.read'],
    ...more,
  })
  entra = await startEntra({
    apps: [
      app('a9900001-0000-4000-8000-0000000000e5', {}),
      app(v1App, { requestedAccessTokenVersion: 1 }),
      app(uriApp, { identifierUris: ['https://notes.contoso.example'] }),
      app(certificateApp, { secrets: [], certificates: [pair.certificate] }),
      app(blueprintApp, {}),
      app(directApp, {
        redirectUris: [],
        identifierUris: [
          `api://${directApp}`,
          'http://localhost:3000/mcp',
          'https://mcp.fabrikam.example',
        ],
      }),
    ],
    agents: [{ clientId: agent, blueprint: blueprintApp }],
  })
})
afterAll(async () => {
  await entra.close()
  rmSync(directory, { recursive: true })
})
beforeEach(() => entra.clearFaults())

/** Settings without a fault. */
function settings(more: CliOptions['env'] = {}): NonNullable<CliOptions['env']> {
  return {
    PORT: '3000',
    BASE_URL: 'http://localhost:3000',
    AZURE_TENANT_ID: entra.tenant.id,
    AZURE_CLIENT_ID: entra.app.clientId,
    AZURE_CLIENT_SECRET: 'notes-mcp-secret',
    AZURE_AUTHORITY_HOST: entra.url,
    MCP_ENTRA_KEYS: goodKey,
    ...more,
  }
}

interface Result {
  readonly code: number
  readonly findings: readonly Finding[]
  /** What is not ok. */
  readonly troubles: readonly Finding[]
  readonly text: string
}

async function doctor(
  env: CliOptions['env'],
  args: readonly string[] = [],
  now = Date.now,
): Promise<Result> {
  const { code, out } = await cli(['doctor', '--json', ...args], { env: settings(env), now })
  const { findings } = JSON.parse(out) as Diagnosis
  return { code, findings, troubles: findings.filter(({ status }) => status !== 'ok'), text: out }
}

describe('doctor, of good settings', () => {
  it('finds nothing, says what it has looked at, and exits with 0', async () => {
    const { code, findings, troubles } = await doctor({}, ['--scope', 'notes.read'])
    expect(troubles).toEqual([])
    expect(code).toBe(0)
    expect(findings.map(({ check }) => check)).toEqual([
      'base url',
      'client id',
      'keys',
      'tenant',
      'signing keys',
      'clock',
      'credential',
      'token version',
      'redirect uri',
      'scope',
      'storage',
    ])
  })

  it('takes a certificate', async () => {
    const { troubles, findings } = await doctor({
      AZURE_CLIENT_ID: certificateApp,
      AZURE_CLIENT_SECRET: undefined,
      AZURE_CLIENT_CERTIFICATE_PATH: good,
    })
    expect(troubles).toEqual([])
    expect(findings).toContainEqual(expect.objectContaining({ check: 'certificate', status: 'ok' }))
  })

  it('of direct mode looks at the URL of the endpoint, and at neither keys nor store nor redirect URI', async () => {
    const env = { AZURE_CLIENT_ID: directApp, MCP_ENTRA_KEYS: undefined }
    const { code, findings, troubles } = await doctor(env, ['--mode', 'direct'])
    expect([code, troubles]).toEqual([0, []])
    expect(findings.map(({ check }) => check)).toEqual([
      'base url',
      'client id',
      'tenant',
      'signing keys',
      'clock',
      'credential',
      'token version',
      'mcp url',
    ])
  })

  it('of direct mode on loopback, where no URL can be an Application ID URI, is a warning', async () => {
    const env = { AZURE_CLIENT_ID: directApp }
    const { code, troubles } = await doctor(env, ['--mode', 'direct', '--resource', '/notes'])
    expect(code).toBe(0)
    expect(troubles).toMatchObject([
      {
        check: 'mcp url',
        status: 'warning',
        says: expect.stringMatching(/begin with https or api/),
      },
    ])
  })

  it('of direct mode at the root of a host warns of the slash that clients add', async () => {
    const env = { AZURE_CLIENT_ID: directApp, BASE_URL: 'https://mcp.fabrikam.example' }
    const { code, troubles } = await doctor(env, ['--mode', 'direct', '--resource', '/'])
    expect(code).toBe(0)
    expect(troubles).toMatchObject([
      {
        check: 'mcp url',
        status: 'warning',
        says: expect.stringMatching(
          /many clients send https:\/\/mcp\.fabrikam\.example\/ as resource/,
        ),
      },
    ])
  })

  it('of a server that acts as an agent asks for an assertion for it', async () => {
    const env = { AZURE_CLIENT_ID: blueprintApp, AGENT_ID: agent }
    const { findings } = await doctor(env, ['--mode', 'direct'])
    expect(findings).toContainEqual({
      check: 'agent',
      status: 'ok',
      says: `Entra gives the app assertions for ${agent}, so it is its blueprint`,
    })
  })

  it('of direct mode without a credential says what to look at', async () => {
    const env = { AZURE_CLIENT_ID: directApp, AZURE_CLIENT_SECRET: undefined }
    const { code, troubles } = await doctor(env, ['--mode', 'direct'])
    expect(code).toBe(0)
    expect(troubles).toMatchObject([
      { check: 'credential', status: 'warning', remedy: expect.stringMatching(/only oboToken/) },
      {
        check: 'mcp url',
        status: 'warning',
        says: expect.stringMatching(/cannot be seen whether http:\/\/localhost:3000\/mcp/),
        remedy: expect.stringMatching(/"identifierUris"/),
      },
    ])
  })

  it('exits with 0 when there are only warnings', async () => {
    const { code, troubles } = await doctor({ BASE_URL: 'https://mcp.contoso.example' })
    expect(troubles).toMatchObject([{ check: 'storage', status: 'warning' }])
    expect(code).toBe(0)
  })

  it('cannot look into a managed identity, and says so', async () => {
    const { code, troubles } = await doctor({
      AZURE_CLIENT_SECRET: undefined,
      IDENTITY_ENDPOINT: 'http://localhost:1/msi/token',
    })
    expect(code).toBe(0)
    expect(troubles).toMatchObject([{ check: 'credential', status: 'warning' }])
  })

  it('prints a line for each check, and a way to mend what is wrong', async () => {
    const { code, out } = await cli(['doctor'], { env: settings({ MCP_ENTRA_KEYS: '' }) })
    expect(code).toBe(1)
    expect(out).toMatch(/^failure +keys: MCP_ENTRA_KEYS is missing.*\n +mend: make one with/m)
    expect(out).toMatch(/^ok +tenant: /m)
    expect(out).toMatch(/1 failures, 0 warnings, \d+ ok\n$/)
  })

  it('asks for a token and for a sign-in without a user, and for nothing to be stored', async () => {
    entra.clearRequests()
    await doctor({})
    expect(entra.requests.map(({ endpoint }) => endpoint)).toEqual(
      expect.arrayContaining(['authorize', 'token']),
    )
  })

  it('wants something to look at: exit code 2', async () => {
    expect((await cli(['doctor'])).code).toBe(2)
    expect((await cli(['doctor', 'notes'])).code).toBe(2)
    const url = 'https://mcp.contoso.example/mcp'
    expect((await cli(['doctor', url, '--mode', 'direct'])).err).toMatch(
      /--mode is for the settings/,
    )
    const env = settings()
    expect((await cli(['doctor', '--resource', 'mcp'], { env })).err).toMatch(/must be a path/)
    expect((await cli(['doctor', 'https://user@mcp.contoso.example/mcp'])).code).toBe(2)
  })
})

interface Planted {
  readonly mistake: string
  readonly env: () => CliOptions['env']
  readonly args?: readonly string[]
  readonly now?: () => number
  readonly check: string
  readonly says: RegExp
  readonly remedy: RegExp
}

const planted: readonly Planted[] = [
  {
    mistake: 'http off loopback',
    env: () => ({ BASE_URL: 'http://mcp.contoso.example' }),
    check: 'base url',
    says: /must be https/,
    remedy: /https:\/\/mcp\.contoso\.com/,
  },
  {
    mistake: 'a key that can be guessed',
    env: () => ({ MCP_ENTRA_KEYS: `${goodKey},changeme-changeme-changeme` }),
    check: 'keys',
    says: /MCP_ENTRA_KEYS\[1\] is not random: it is a placeholder: who guesses it/,
    remedy: /openssl rand/,
  },
  {
    mistake: 'a key of one letter',
    env: () => ({ MCP_ENTRA_KEYS: 'a'.repeat(32) }),
    check: 'keys',
    says: /MCP_ENTRA_KEYS\[0\] is not random/,
    remedy: /openssl rand/,
  },
  {
    mistake: 'a key that is too short',
    env: () => ({ MCP_ENTRA_KEYS: 'qH2n8Yw0Vd6u' }),
    check: 'keys',
    says: /at least 22 characters/,
    remedy: /openssl rand/,
  },
  {
    mistake: 'a tenant that does not exist',
    env: () => ({ AZURE_TENANT_ID: '6f1d0c3a-1111-4222-8333-444455556666' }),
    check: 'tenant',
    says: /no tenant .*AADSTS90002/,
    remedy: /tenantId/,
  },
  {
    mistake: 'an authority that cannot be reached',
    env: () => ({ AZURE_AUTHORITY_HOST: 'http://localhost:1' }),
    check: 'authority',
    says: /cannot be reached \(ECONNREFUSED\)/,
    remedy: /AZURE_AUTHORITY_HOST/,
  },
  {
    mistake: 'the client id of another tenant',
    env: () => ({ AZURE_CLIENT_ID: '6f1d0c3a-1111-4222-8333-444455556666' }),
    check: 'app',
    says: /AADSTS700016/,
    remedy: /compare clientId and tenantId/,
  },
  {
    mistake: 'a display name for the client id',
    env: () => ({ AZURE_CLIENT_ID: 'Notes MCP' }),
    check: 'client id',
    says: /not a GUID/,
    remedy: /Overview/,
  },
  {
    mistake: 'a wrong secret',
    env: () => ({ AZURE_CLIENT_SECRET: 'not-the-secret-of-this-app' }),
    check: 'credential',
    says: /AADSTS7000215/,
    remedy: /Value/,
  },
  {
    mistake: 'the Secret ID in place of the secret',
    env: () => ({ AZURE_CLIENT_SECRET: '6f1d0c3a-1111-4222-8333-444455556666' }),
    check: 'credential',
    says: /that is the Secret ID/,
    remedy: /column "Value"/,
  },
  {
    mistake: 'an expired certificate',
    env: () => ({
      AZURE_CLIENT_ID: certificateApp,
      AZURE_CLIENT_SECRET: undefined,
      AZURE_CLIENT_CERTIFICATE_PATH: expired,
    }),
    check: 'certificate',
    says: /expired on Jan {2}1 .*2021/,
    remedy: /upload the public part of a new one/,
  },
  {
    mistake: 'no credential at all',
    env: () => ({ AZURE_CLIENT_SECRET: undefined }),
    check: 'credential',
    says: /none of AZURE_CLIENT_SECRET/,
    remedy: /Certificates & secrets/,
  },
  {
    mistake: 'a clock that is ten minutes behind',
    env: () => ({}),
    now: () => Date.now() - 600_000,
    check: 'clock',
    says: /(?:600|599|601) seconds behind/,
    remedy: /NTP/,
  },
  {
    mistake: 'tokens of version 1',
    env: () => ({ AZURE_CLIENT_ID: v1App }),
    check: 'token version',
    says: /version 1\.0/,
    remedy: /"requestedAccessTokenVersion" to 2/,
  },
  {
    mistake: 'no Application ID URI of the usual form: the audience that clients ask for',
    env: () => ({ AZURE_CLIENT_ID: uriApp }),
    check: 'app id uri',
    says: /AADSTS500011/,
    remedy: /Expose an API/,
  },
  {
    mistake: 'a redirect URI that is not registered',
    env: () => ({ BASE_URL: 'https://mcp.fabrikam.example' }),
    check: 'redirect uri',
    says: /https:\/\/mcp\.fabrikam\.example\/auth\/callback is not registered \(AADSTS50011\)/,
    remedy: /Web: add https:\/\/mcp\.fabrikam\.example\/auth\/callback/,
  },
  {
    mistake: 'a URL of the endpoint that is no Application ID URI (direct mode)',
    env: () => ({ AZURE_CLIENT_ID: directApp, BASE_URL: 'https://mcp.contoso.example' }),
    args: ['--mode', 'direct', '--resource', '/notes'],
    check: 'mcp url',
    says: /https:\/\/mcp\.contoso\.example\/notes is no Application ID URI \(AADSTS500011\).* AADSTS9010010/,
    remedy:
      /requestedAccessTokenVersion.* add https:\/\/mcp\.contoso\.example\/notes to "identifierUris"/,
  },
  {
    mistake: 'a URL of the endpoint that is an Application ID URI of another app (direct mode)',
    env: () => ({}),
    args: ['--mode', 'direct'],
    check: 'mcp url',
    says: /of another app: its tokens name a9900001-0000-4000-8000-0000000000a5/,
    remedy: /take it from that app/,
  },
  {
    mistake: 'an agent that is not one of the blueprint (direct mode)',
    env: () => ({ AZURE_CLIENT_ID: directApp, AGENT_ID: agent }),
    args: ['--mode', 'direct'],
    check: 'agent',
    says: /the app has no agent a9e00001-\S+ \(AADSTS700016\)/,
    remedy: /made from the blueprint AZURE_CLIENT_ID/,
  },
  {
    mistake: 'a name for the id of an agent (direct mode)',
    env: () => ({ AZURE_CLIENT_ID: directApp, AGENT_ID: 'Clerk' }),
    args: ['--mode', 'direct'],
    check: 'agent',
    says: /AGENT_ID is not a GUID/,
    remedy: /Application \(client\) ID/,
  },
  {
    mistake: 'an app that is the blueprint of agents',
    env: () => ({ AZURE_CLIENT_ID: blueprintApp }),
    check: 'redirect uri',
    says: /nobody can sign in: .* \(AADSTS82014\)/,
    remedy: /ordinary app registration/,
  },
  {
    mistake: 'a scope that the app does not expose',
    env: () => ({}),
    args: ['--scope', 'notes.read', '--scope', 'notes.delete'],
    check: 'scope',
    says: /does not expose notes\.delete \(AADSTS65/,
    remedy: /Add a scope: notes\.delete/,
  },
  {
    mistake: 'a REDIS_URL that is none',
    env: () => ({ REDIS_URL: 'localhost:6379' }),
    check: 'storage',
    says: /not a redis:\/\//,
    remedy: /rediss:\/\//,
  },
]

describe('doctor finds', () => {
  it.each(planted)('$mistake', async ({ env, args, now, check, says, remedy }) => {
    const { code, troubles, text } = await doctor(env(), args, now)
    expect(code).toBe(1)
    const failures = troubles.filter(({ status }) => status === 'failure')
    expect(failures).toEqual([
      {
        check,
        status: 'failure',
        says: expect.stringMatching(says),
        remedy: expect.stringMatching(remedy),
      },
    ])
    expect(text).not.toMatch(/not-the-secret|notes-mcp-secret|changeme|qH2n8Yw0/)
  })

  it('an app that requires assignment and is not assigned to itself: the credential is good all the same', async () => {
    entra.fault({ at: 'token', error: 501051 })
    const { code, troubles, findings } = await doctor({})
    expect(code).toBe(0)
    expect(findings).toContainEqual(expect.objectContaining({ check: 'credential', status: 'ok' }))
    expect(troubles).toMatchObject([{ check: 'token version', status: 'warning' }])
  })

  it('that it cannot tell, when Entra shows a page of its own', async () => {
    entra.fault({ at: 'authorize', html: true, status: 200 })
    const { code, troubles } = await doctor({}, ['--scope', 'notes.read'])
    expect(code).toBe(0)
    expect(troubles).toMatchObject([
      { check: 'redirect uri', status: 'warning' },
      { check: 'scope', status: 'warning' },
    ])
  })

  it('that Entra throttles', async () => {
    entra.fault({ at: 'token', retryAfter: 30 })
    const { code, troubles } = await doctor({})
    expect(code).toBe(1)
    expect(troubles).toMatchObject([
      { check: 'credential', says: expect.stringMatching(/HTTP 429/) },
    ])
  })

  it('an Entra that does not answer, within its deadline', async () => {
    entra.fault({ at: 'token', hang: true })
    const { code, troubles } = await doctor({})
    expect(code).toBe(1)
    expect(troubles).toMatchObject([
      {
        check: 'credential',
        status: 'failure',
        says: expect.stringMatching(/did not answer within/),
      },
    ])
  })
})

describeWithOwnRedis('doctor, of a Redis', () => {
  let redis: OwnRedis
  beforeAll(async () => {
    redis = await startRedis({ args: ['--maxmemory', '64mb', '--requirepass', 'hunter2-hunter2'] })
  })
  afterAll(() => redis.close())
  const urlWith = (password: string) => redis.url.replace('redis://', `redis://:${password}@`)
  const set = (...words: string[]) => redis.cli('-a', 'hunter2-hunter2', 'config', 'set', ...words)

  it('finds nothing wrong with one that keeps what it is given', async () => {
    await set('maxmemory-policy', 'noeviction')
    await set('appendonly', 'yes')
    const { troubles, findings } = await doctor({ REDIS_URL: urlWith('hunter2-hunter2') })
    expect(troubles).toEqual([])
    expect(findings).toContainEqual(expect.objectContaining({ check: 'storage', status: 'ok' }))
    expect(await redis.cli('-a', 'hunter2-hunter2', 'dbsize')).toContain('0')
  })

  it('finds the evicting policy allkeys-lru', async () => {
    await set('maxmemory-policy', 'allkeys-lru')
    const { code, troubles } = await doctor({ REDIS_URL: urlWith('hunter2-hunter2') })
    await set('maxmemory-policy', 'noeviction')
    expect(code).toBe(1)
    expect(troubles).toMatchObject([
      {
        check: 'eviction',
        status: 'failure',
        says: expect.stringMatching(/allkeys-lru/),
        remedy: expect.stringMatching(/noeviction/),
      },
    ])
  })

  it('warns where a crash loses logins', async () => {
    await set('appendonly', 'no')
    const { code, troubles } = await doctor({ REDIS_URL: urlWith('hunter2-hunter2') })
    expect(code).toBe(0)
    expect(troubles).toMatchObject([{ check: 'persistence', status: 'warning' }])
  })

  it('finds a Redis that cannot be reached', async () => {
    const { code, troubles } = await doctor({ REDIS_URL: `redis://127.0.0.1:${await freePort()}` })
    expect(code).toBe(1)
    expect(troubles).toMatchObject([
      { check: 'storage', status: 'failure', says: expect.stringMatching(/ECONNREFUSED.*503/) },
    ])
  })

  it('finds a wrong password, and shows none', async () => {
    const { code, troubles, text } = await doctor({ REDIS_URL: urlWith('hunter3-hunter3') })
    expect(code).toBe(1)
    expect(troubles).toMatchObject([
      { check: 'storage', status: 'failure', says: expect.stringMatching(/WRONGPASS/) },
    ])
    expect(text).not.toContain('hunter3')
  })
})

describe('doctor, of identity providers', () => {
  const asked = (list: unknown) =>
    doctor({
      MCP_ENTRA_IDENTITY_ASSERTIONS: typeof list === 'string' ? list : JSON.stringify(list),
    })
  const provider = () => startIdentityProvider({ claims: () => ({}) })
  const found = ({ findings }: Result) =>
    findings.filter((each) => each.check === 'identity providers')

  it('finds their keys, by metadata and by jwksUri', async () => {
    const [one, two] = await Promise.all([provider(), provider()])
    const result = await asked([
      { issuer: one.url },
      { issuer: two.url, jwksUri: `${two.url}/keys` },
    ])
    expect(found(result).map(({ status, says }) => [status, says])).toEqual([
      ['ok', `${one.url}: its keys are within reach, 1 of them`],
      ['ok', `${two.url}: its keys are within reach, 1 of them`],
    ])
    expect([result.code, result.troubles]).toEqual([0, []])
  })

  it('says which of them is out of reach, or is not what it is said to be', async () => {
    const [gone, other] = await Promise.all([provider(), provider()])
    await gone.close()
    const result = await asked([{ issuer: gone.url }, { issuer: `${other.url}/` }])
    expect(result.code).toBe(1)
    expect(result.troubles.map(({ says }) => says)).toEqual([
      expect.stringContaining(`${gone.url}: ${new URL(gone.url).host}: the host cannot be reached`),
      expect.stringContaining('its metadata is that of another issuer'),
    ])
  })

  it.each(['https://idp.contoso.com', '{', '{}', '[{}]', '[{"issuer":"http://idp.contoso.com"}]'])(
    'says that %s is no list of them, and which variable it stands in',
    async (list) => {
      const { code, troubles } = await asked(list)
      expect(code).toBe(1)
      expect(troubles).toMatchObject([
        {
          check: 'identity providers',
          status: 'failure',
          says: expect.stringContaining('MCP_ENTRA_IDENTITY_ASSERTIONS'),
        },
      ])
    },
  )
})
