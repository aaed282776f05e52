/** The settings in the environment: those of the reference host. */
import { type EntraAuthority, entraAuthority, isGuid } from '../../entra/authority.js'
import { isLoopbackHost } from '../../oauth/loopback.js'
import { readBaseUrl } from '../../setup/options.js'
import { checkAuthority } from './check-authority.js'
import { checkIdentityIssuers } from './check-identity-issuers.js'
import { checkKeys } from './check-keys.js'
import { checkRedis } from './check-redis.js'
import { checkCredential, checkRedirectUri, checkScope } from './check-registration.js'
import { findCredential } from './credential.js'
import { type Diagnosis, type Finding, failure, ok, warning } from './finding.js'

type Environment = Readonly<Record<string, string | undefined>>

/** @param scopes that the app must expose: short names */
export async function checkSettings(
  env: Environment,
  scopes: readonly string[],
  now: () => number,
): Promise<Diagnosis> {
  const base = checkBaseUrl(env.BASE_URL)
  const authority = readAuthority(env)
  const client = checkClientId(env.AZURE_CLIENT_ID)
  const findings = [
    base.finding,
    ...(authority instanceof Object && 'host' in authority ? [] : [authority]),
    client,
    checkKeys(env.MCP_ENTRA_KEYS),
    ...('host' in authority ? await checkEntra({ env, authority, client, base, scopes, now }) : []),
    ...(await checkIdentityIssuers(env.MCP_ENTRA_IDENTITY_ASSERTIONS)),
    ...(await checkStorage(env.REDIS_URL, base.url)),
  ]
  return {
    of: 'environment',
    findings,
    notChecked: [
      'trust proxy and what stands in front of the server: give doctor its URL',
      ...(scopes.length === 0 ? ['scopes: name them with --scope'] : []),
    ],
  }
}

interface Entra {
  readonly env: Environment
  readonly authority: EntraAuthority
  readonly client: Finding
  readonly base: Base
  readonly scopes: readonly string[]
  readonly now: () => number
}

async function checkEntra({
  env,
  authority,
  client,
  base,
  scopes,
  now,
}: Entra): Promise<readonly Finding[]> {
  const found = await checkAuthority(authority, now)
  const { findings, credential } = findCredential(env, now())
  const isReachable = !found.some(
    ({ check, status }) => status === 'failure' && check !== 'clock' && check !== 'signing keys',
  )
  if (!isReachable || client.status === 'failure') return [...found, ...findings]
  const app = { authority, clientId: String(env.AZURE_CLIENT_ID).toLowerCase() }
  const proven = credential ? await checkCredential(app, credential) : []
  const isKnown = !proven.some(({ check }) => check === 'app')
  const redirectUri = base.url && `${base.url}/auth/callback`
  const signIn: Finding[] = []
  if (redirectUri && isKnown) {
    signIn.push(await checkRedirectUri(app, redirectUri))
    for (const scope of scopes) signIn.push(await checkScope(app, redirectUri, scope))
  }
  return [...found, ...findings, ...proven, ...signIn]
}

interface Base {
  readonly finding: Finding
  readonly url?: string
}

function checkBaseUrl(given: string | undefined): Base {
  const remedy =
    'BASE_URL is what clients use: https://mcp.contoso.com (http only on localhost), no slash at the end'
  try {
    const { baseUrl: url } = readBaseUrl(given?.trim().replace(/\/$/, ''))
    return { url, finding: ok('base url', `${url}: the issuer of this server’s tokens`) }
  } catch (error) {
    return {
      finding: failure(
        'base url',
        (error as Error).message.replace('entraAuth: baseUrl', 'BASE_URL'),
        remedy,
      ),
    }
  }
}

function readAuthority({
  AZURE_TENANT_ID = '',
  AZURE_AUTHORITY_HOST,
}: Environment): EntraAuthority | Finding {
  try {
    return entraAuthority({
      tenantId: AZURE_TENANT_ID.trim(),
      host: AZURE_AUTHORITY_HOST?.trim() || undefined,
    })
  } catch (error) {
    const says = (error as Error).message.replace('entraAuth: ', '')
    return failure('authority', says, 'correct AZURE_TENANT_ID or AZURE_AUTHORITY_HOST')
  }
}

function checkClientId(given: string | undefined): Finding {
  if (isGuid(given?.trim())) return ok('client id', 'a GUID')
  return failure(
    'client id',
    'AZURE_CLIENT_ID is not a GUID',
    'copy Application (client) ID from the registration’s Overview',
  )
}

async function checkStorage(
  redisUrl: string | undefined,
  baseUrl: string | undefined,
): Promise<readonly Finding[]> {
  if (redisUrl?.trim()) return checkRedis(redisUrl.trim())
  const isLocal = baseUrl !== undefined && isLoopbackHost(new URL(baseUrl).hostname)
  const says = 'in memory: good for one process, and a restart signs users out'
  if (isLocal) return [ok('storage', says)]
  return [warning('storage', says, 'set REDIS_URL, or use fileStorage on one machine')]
}
