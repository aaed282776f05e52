/** The settings in the environment: those of the reference host. */
import { type EntraAuthority, entraAuthority, isGuid } from '../../entra/authority.js'
import { isLoopbackHost } from '../../oauth/loopback.js'
import { readBaseUrl } from '../../setup/options.js'
import { checkAgent } from './check-agent.js'
import { checkAuthority } from './check-authority.js'
import { checkIdentityIssuers } from './check-identity-issuers.js'
import { checkKeys } from './check-keys.js'
import { checkRedis } from './check-redis.js'
import { checkCredential, checkMcpUrl, checkRedirectUri, checkScope } from './check-registration.js'
import { findCredential } from './credential.js'
import { type Diagnosis, type Finding, failure, ok, warning } from './finding.js'

type Environment = Readonly<Record<string, string | undefined>>

/** What the environment does not say of the server. */
export interface CheckedServer {
  readonly mode: 'proxy' | 'direct'
  /** Path of its MCP endpoint. */
  readonly resource: string
}

/** @param scopes that the app must expose: short names */
export async function checkSettings(
  env: Environment,
  server: CheckedServer,
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
    ...(server.mode === 'direct' ? [] : [checkKeys(env.MCP_ENTRA_KEYS)]),
    ...('host' in authority
      ? await checkEntra({ env, server, authority, client, base, scopes, now })
      : []),
    ...(server.mode === 'direct' ? [] : await checkProxy(env, base)),
  ]
  return {
    of: 'environment',
    findings,
    notChecked: [
      'trust proxy and what stands in front of the server: give doctor its URL',
      ...uncheckedScopes(server, scopes),
    ],
  }
}

/** What only a server with a store has. */
async function checkProxy(env: Environment, base: Base): Promise<readonly Finding[]> {
  return [
    ...(await checkIdentityIssuers(env.MCP_ENTRA_IDENTITY_ASSERTIONS)),
    ...(await checkStorage(env.REDIS_URL, base.url)),
  ]
}

function uncheckedScopes({ mode }: CheckedServer, scopes: readonly string[]): readonly string[] {
  if (mode === 'direct') return ['scopes: only a client of the app can ask for them, by a sign-in']
  return scopes.length === 0 ? ['scopes: name them with --scope'] : []
}

interface Entra {
  readonly env: Environment
  readonly server: CheckedServer
  readonly authority: EntraAuthority
  readonly client: Finding
  readonly base: Base
  readonly scopes: readonly string[]
  readonly now: () => number
}

async function checkEntra({
  env,
  server,
  authority,
  client,
  base,
  scopes,
  now,
}: Entra): Promise<readonly Finding[]> {
  const isDirect = server.mode === 'direct'
  const found = await checkAuthority(authority, now)
  const { findings, credential } = findCredential(env, now(), !isDirect)
  const isReachable = !found.some(
    ({ check, status }) => status === 'failure' && check !== 'clock' && check !== 'signing keys',
  )
  if (!isReachable || client.status === 'failure') return [...found, ...findings]
  const app = { authority, clientId: String(env.AZURE_CLIENT_ID).toLowerCase() }
  const proven = credential ? await checkCredential(app, credential) : []
  const isKnown = !proven.some(({ check }) => check === 'app')
  const redirectUri = base.url && `${base.url}/auth/callback`
  const signIn: Finding[] = []
  if (base.url && isKnown && isDirect) {
    const path = server.resource === '/' ? '' : server.resource
    const isProven = proven.every(({ status }) => status !== 'failure')
    const good = isProven ? credential : undefined
    signIn.push(await checkMcpUrl(app, good, base.url + path))
    const agent = env.AGENT_ID?.trim()
    if (agent && good) signIn.push(await checkAgent(app, good, agent))
  } else if (redirectUri && isKnown) {
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
