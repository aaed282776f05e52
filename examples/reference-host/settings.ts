/** The reference host's settings: environment variables, each checked, each with the place its value is found. */

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

/** A variable that was set but cannot be used. */
class Unusable extends Error {}

const portal = 'Microsoft Entra admin center (entra.microsoft.com)'

/** Where each value comes from, in the words of the portal. */
const found: Readonly<Record<string, string>> = {
  PORT: 'your choice: the port this host listens on, such as 3000',
  BASE_URL:
    'your choice: the URL clients reach this host at, such as https://mcp.contoso.com or http://localhost:3000; register BASE_URL/auth/callback in the portal under App registrations > your app > Authentication > Web > Redirect URIs',
  AZURE_TENANT_ID: `${portal} > App registrations > your app > Overview > Directory (tenant) ID`,
  AZURE_CLIENT_ID: `${portal} > App registrations > your app > Overview > Application (client) ID`,
  AZURE_CLIENT_SECRET: `${portal} > App registrations > your app > Certificates & secrets > Client secrets > Value (not the Secret ID)`,
  AZURE_AUTHORITY_HOST:
    'the sign-in host of your cloud, shown in the portal under App registrations > your app > Endpoints; leave it unset for https://login.microsoftonline.com',
  MCP_ENTRA_KEYS:
    'not in the portal: make one with `openssl rand -base64 32`; to change it, append the new one on every replica (old,new), and then move it to the front on every replica (new,old)',
  MCP_ENTRA_REFRESH_GRACE: 'not in the portal: a number of seconds, 60 when unset, 0 for no grace',
  REDIS_URL: 'not in the portal: the URL of your Redis; leave it unset to keep logins in memory',
  GRAPH_URL:
    'not in the portal: the root of Microsoft Graph; leave it unset for https://graph.microsoft.com/v1.0',
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
      problems.push(`${name} ${error.message}. Where to find it: ${found[name]}.`)
      return undefined as T
    }
  }
  const settings: Settings = {
    port: read('PORT', port),
    baseUrl: read('BASE_URL', baseUrl),
    tenantId: read('AZURE_TENANT_ID', tenant),
    clientId: read('AZURE_CLIENT_ID', guid),
    clientSecret: read('AZURE_CLIENT_SECRET', secret),
    authorityHost: read('AZURE_AUTHORITY_HOST', origin, {
      value: 'https://login.microsoftonline.com',
    }),
    keys: read('MCP_ENTRA_KEYS', keys),
    refreshGrace: read('MCP_ENTRA_REFRESH_GRACE', seconds, { value: undefined }),
    redisUrl: read<string | undefined>('REDIS_URL', redisUrl, { value: undefined }),
    graphUrl: read('GRAPH_URL', (value) => webUrl(value).replace(/\/$/, ''), {
      value: 'https://graph.microsoft.com/v1.0',
    }),
  }
  if (problems.length > 0) throw new SettingsError(problems)
  return settings
}

function port(value: string): number {
  const number = Number(value)
  if (!/^\d{1,5}$/.test(value) || number > 65535) throw new Unusable('must be a port number')
  return number
}

function webUrl(value: string): string {
  const url = URL.canParse(value) ? new URL(value) : undefined
  const loopback = /^(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url?.hostname ?? '')
  if (url?.protocol === 'https:' || (url?.protocol === 'http:' && loopback)) return value
  throw new Unusable('must be an https URL (http on localhost is allowed)')
}

/** The issuer is compared character by character: there is one way to spell it. */
function baseUrl(value: string): string {
  const given = webUrl(value).replace(/\/$/, '')
  const { origin, pathname } = new URL(given)
  const spelt = (origin + pathname).replace(/\/+$/, '')
  if (given !== spelt) throw new Unusable(`must be spelt ${spelt}`)
  return given
}

function origin(value: string): string {
  const url = new URL(webUrl(value))
  if (url.href === `${url.origin}/`) return url.origin
  throw new Unusable(`must end after the host, as in ${url.origin}`)
}

function redisUrl(value: string): string {
  if (/^rediss?:\/\//.test(value)) return value
  throw new Unusable('must start with redis:// or rediss://')
}

const guidForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function guid(value: string): string {
  if (guidForm.test(value)) return value
  throw new Unusable('must be a GUID')
}

function tenant(value: string): string {
  const domain = /^[a-z0-9-]+(?:\.[a-z0-9-]+)+$/i
  if (guidForm.test(value) || domain.test(value)) return value
  throw new Unusable('must be the GUID of one tenant, or one of its domains')
}

function secret(value: string): string {
  if (/\s/.test(value)) throw new Unusable('has a blank in it')
  return value
}

function keys(value: string): readonly string[] {
  const list = value.split(',').map((key) => key.trim())
  if (list.some((key) => key.length < 22)) {
    throw new Unusable('must be random secrets of at least 22 characters (128 bits) each')
  }
  if (new Set(list).size !== list.length) throw new Unusable('has the same secret twice')
  return list
}

function seconds(value: string): number {
  if (!/^\d{1,6}$/.test(value)) throw new Unusable('must be a number of seconds')
  return Number(value)
}
