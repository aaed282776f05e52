/**
 * The reference host's settings, from environment variables. The library checks what it is given; the host adds
 * which variable it came from, and where its value is found.
 */
import {
  type EntraAuthOptions,
  entraAuth,
  entraScopes,
  type IdentityIssuer,
  type MapUser,
  clientSecret as secretCredential,
} from 'mcp-entra'
import { redisStorage } from 'mcp-entra/redis'

/** What the host runs with. */
export interface Settings {
  readonly port: number
  readonly baseUrl: string
  readonly tenantId: string
  readonly clientId: string
  readonly clientSecret: string
  readonly authorityHost: string
  readonly keys: readonly string[]
  /** Seconds. */
  readonly refreshGrace: number | undefined
  readonly consent: 'always' | 'remember'
  readonly rememberUnverified: boolean
  /** Identity providers that let clients in for their users. */
  readonly identityAssertions: readonly IdentityIssuer[]
  readonly dpop: 'off' | 'allowed' | 'required'
  readonly redisUrl: string | undefined
  readonly graphUrl: string
}

/** What is wrong with the environment: one line for each variable. */
export class SettingsError extends Error {
  override readonly name = 'SettingsError'
  readonly lines: readonly string[]

  constructor(lines: readonly string[]) {
    super(lines.join('\n'))
    this.lines = lines
  }
}

/** @throws SettingsError with a line for every variable that is missing or wrong */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const problems: string[] = []
  const read = <T>(name: string, parse: (value: string) => T, fallback?: { value: T }): T => {
    const value = env[name]?.trim()
    try {
      if (value) return parse(value)
      if (fallback) return fallback.value
      throw new Unusable('is missing')
    } catch (error) {
      if (!(error instanceof Unusable)) throw error
      problems.push(`${name} ${error.message}. Where to find it: ${whereToFind[name]}.`)
      return undefined as T
    }
  }
  const settings: Settings = {
    port: read('PORT', port),
    baseUrl: read('BASE_URL', baseUrl),
    tenantId: read('AZURE_TENANT_ID', tenantId),
    clientId: read('AZURE_CLIENT_ID', clientId),
    clientSecret: read('AZURE_CLIENT_SECRET', clientSecret),
    authorityHost: read('AZURE_AUTHORITY_HOST', authorityHost, {
      value: 'https://login.microsoftonline.com',
    }),
    keys: read('MCP_ENTRA_KEYS', keys),
    refreshGrace: read('MCP_ENTRA_REFRESH_GRACE', refreshGrace, { value: undefined }),
    consent: read('MCP_ENTRA_CONSENT', consent, { value: 'remember' }),
    rememberUnverified: read('MCP_ENTRA_REMEMBER_UNVERIFIED', rememberUnverified, {
      value: false,
    }),
    identityAssertions: read('MCP_ENTRA_IDENTITY_ASSERTIONS', identityAssertions, { value: [] }),
    dpop: read('MCP_ENTRA_DPOP', dpop, { value: 'allowed' }),
    redisUrl: read<string | undefined>('REDIS_URL', redisUrl, { value: undefined }),
    graphUrl: read('GRAPH_URL', graphUrl, { value: 'https://graph.microsoft.com/v1.0' }),
  }
  if (problems.length > 0) throw new SettingsError(problems)
  return settings
}

const portal = 'Microsoft Entra admin center (entra.microsoft.com)'

/** In the words of the portal. */
const whereToFind: Readonly<Record<string, string>> = {
  PORT: 'your choice: the port this host listens on, such as 3000',
  BASE_URL:
    'your choice: the URL at which clients reach this host, such as https://mcp.contoso.com or http://localhost:3000; register BASE_URL/auth/callback in the portal under App registrations > your app > Authentication > Web > Redirect URIs',
  AZURE_TENANT_ID: `${portal} > App registrations > your app > Overview > Directory (tenant) ID`,
  AZURE_CLIENT_ID: `${portal} > App registrations > your app > Overview > Application (client) ID`,
  AZURE_CLIENT_SECRET: `${portal} > App registrations > your app > Certificates & secrets > Client secrets > Value (not the Secret ID)`,
  AZURE_AUTHORITY_HOST:
    'the sign-in host of your cloud, shown in the portal under App registrations > your app > Endpoints; leave it unset for https://login.microsoftonline.com',
  MCP_ENTRA_KEYS:
    'not in the portal: make one with `openssl rand -base64 32`; to change it, first append the new one on every replica (old,new), then move it to the front on every replica (new,old)',
  MCP_ENTRA_REFRESH_GRACE: 'not in the portal: a number of seconds, 60 when unset, 0 for no grace',
  MCP_ENTRA_CONSENT:
    'not in the portal: always to ask users at every login; leave it unset to ask again only when something is new',
  MCP_ENTRA_REMEMBER_UNVERIFIED:
    'not in the portal: 1 to remember consents for unverified clients too; leave it unset to ask for those every time',
  MCP_ENTRA_IDENTITY_ASSERTIONS:
    'not in the portal: a JSON array of the identity providers that let clients in for your users, [{"issuer":"https://…","jwksUri":"https://…"}] (jwksUri only where its metadata does not say it); leave it unset for none',
  MCP_ENTRA_DPOP:
    'not in the portal: off, allowed or required; leave it unset to bind the tokens of clients that bring DPoP proofs',
  REDIS_URL: 'not in the portal: the URL of your Redis; leave it unset to keep logins in memory',
  GRAPH_URL:
    'not in the portal: the root of Microsoft Graph; leave it unset for https://graph.microsoft.com/v1.0',
}

/** A variable that is missing or wrong: the message follows its name. */
class Unusable extends Error {}

const anyGuid = '00000000-0000-4000-8000-000000000000'

/** Options without a fault. Each variable is tried in them alone, so that each one gets a line of its own. */
const faultless: EntraAuthOptions = {
  baseUrl: 'http://localhost',
  tenantId: anyGuid,
  clientId: anyGuid,
  scopes: entraScopes({ clientId: anyGuid, required: ['notes.read'] }),
}

function checkOption(option: Partial<EntraAuthOptions>): void {
  ask(() => entraAuth({ ...faultless, ...option }))
}

/** @throws Unusable with what the library says */
function ask(library: () => unknown): void {
  try {
    library()
  } catch (error) {
    throw new Unusable(`is wrong: ${(error as Error).message}`)
  }
}

function port(value: string): number {
  const number = Number(value)
  if (!/^\d{1,5}$/.test(value) || number > 65535) throw new Unusable('must be a port number')
  return number
}

function baseUrl(value: string): string {
  const url = value.replace(/\/$/, '')
  checkOption({ baseUrl: url })
  return url
}

function tenantId(value: string): string {
  checkOption({ tenantId: value })
  return value
}

/** The library takes any text. Here a display name in place of the id is found at once, not at the first login. */
function clientId(value: string): string {
  if (/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) return value
  throw new Unusable('must be a GUID')
}

function clientSecret(value: string): string {
  if (/\s/.test(value)) throw new Unusable('must not contain white space')
  ask(() => secretCredential(value))
  return value
}

function authorityHost(value: string): string {
  checkOption({ authorityHost: value })
  return value
}

function keys(value: string): readonly string[] {
  const list = value.split(',')
  checkOption({ keys: list })
  return list
}

function refreshGrace(value: string): number {
  const seconds = Number(value)
  checkOption({ lifetimes: { refreshGrace: seconds } })
  return seconds
}

function consent(value: string): 'always' | 'remember' {
  const given = value as 'always' | 'remember'
  checkOption({ consent: given })
  return given
}

function rememberUnverified(value: string): boolean {
  if (value !== '1') throw new Unusable('must be 1')
  return true
}

/**
 * Users are taken from the claims `tid` and `oid` of the assertion, and refused when one is missing. The operator of
 * this list says whose word counts, so the addresses may be inside.
 */
function identityAssertions(value: string): readonly IdentityIssuer[] {
  const issuers = parseIssuers(value).map((each) => ({ ...each, mapUser: entraIds }))
  checkOption({ identityAssertions: issuers })
  return issuers
}

/** The library checks what is in them. */
function parseIssuers(value: string): readonly Omit<IdentityIssuer, 'mapUser'>[] {
  try {
    const list: unknown = JSON.parse(value)
    if (Array.isArray(list) && list.every((each) => typeof each === 'object' && each !== null)) {
      return list
    }
  } catch {}
  throw new Unusable('must be a JSON array of objects with an "issuer"')
}

/** Names are for display, so a claim that is no text is left out. */
const entraIds: MapUser = ({ tid, oid, name }) => {
  if (typeof tid !== 'string' || typeof oid !== 'string') return undefined
  return { tid, oid, ...(typeof name === 'string' && { name }) }
}

function dpop(value: string): 'off' | 'allowed' | 'required' {
  const given = value as 'off' | 'allowed' | 'required'
  checkOption({ dpop: given, keys: ['any secret of 22 characters or more'] })
  return given
}

function redisUrl(value: string): string {
  ask(() => redisStorage({ url: value }))
  return value
}

function graphUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const loopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url?.hostname ?? '')
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)) {
    return value.replace(/\/$/, '')
  }
  throw new Unusable('must be an https URL (http is allowed on localhost)')
}
