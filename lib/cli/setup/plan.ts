/** What is to be registered: the answers, checked, with an id for everything that needs one. */
import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isGuid } from '../../entra/authority.js'
import { type Cloud, clouds } from '../../entra/clouds.js'
import { readBaseUrl, readResources } from '../../setup/options.js'
import { readPathOption } from '../path-option.js'
import { UsageError } from '../usage-error.js'
import { knownClients, knownPermissions, microsoftGraph } from './known-ids.js'

/** As they are typed: flags, or replies to questions. */
export interface Answers {
  readonly name?: string
  readonly baseUrl?: string
  readonly resource?: string
  readonly callbackPath?: string
  readonly scope?: readonly string[]
  readonly permission?: readonly string[]
  readonly appRole?: readonly string[]
  readonly credential?: string
  readonly certificate?: string
  readonly identityPrincipalId?: string
  readonly identityClientId?: string
  readonly federatedIssuer?: string
  readonly federatedSubject?: string
  readonly tenancy?: string
  readonly tenant?: string
  readonly cloud?: string
  readonly mode?: string
  readonly client?: readonly string[]
  readonly agent?: readonly string[]
  readonly agentBlueprint?: boolean
}

/** A scope or an app role, with the id that Entra wants each of them to have. */
export interface Exposed {
  readonly id: string
  readonly value: string
  /** What users and administrators read. */
  readonly text: string
}

/** A delegated permission of a downstream API. */
export interface Permission {
  /** Client id of the API. */
  readonly api: string
  readonly scope: string
  /** Absent: the script looks it up in the tenant. */
  readonly id?: string
}

/** How the server proves that it is the app. */
export type PlannedCredential =
  | { readonly kind: 'secret' }
  | { readonly kind: 'certificate'; readonly pem: string; readonly der: string }
  | { readonly kind: 'managed-identity'; readonly subject: string; readonly clientId?: string }
  | { readonly kind: 'workload-identity'; readonly issuer: string; readonly subject: string }

/** The whole registration. */
export interface Plan {
  readonly name: string
  readonly baseUrl: string
  readonly mcpUrl: string
  readonly mode: 'proxy' | 'direct'
  readonly multiTenant: boolean
  readonly tenantId: string | undefined
  readonly cloud: Cloud
  readonly redirectUris: readonly string[]
  /** App ID URIs besides `api://<client id>`. */
  readonly identifierUris: readonly string[]
  readonly scopes: readonly Exposed[]
  readonly roles: readonly Exposed[]
  readonly permissions: readonly Permission[]
  readonly credential: PlannedCredential
  readonly clients: readonly string[]
  /** Client ids of agents and other apps that get the app roles. */
  readonly agents: readonly string[]
  /** Whether the app is the blueprint of an agent, which is made with it. */
  readonly blueprint: boolean
}

/** @throws UsageError that names the option and the remedy */
export function readPlan(answers: Answers): Plan {
  const baseUrl = readUrl(answers.baseUrl)
  const mcpUrl = readMcpUrl(baseUrl, answers.resource ?? '/mcp')
  const callbackUrl =
    baseUrl + readPathOption('--callback-path', answers.callbackPath ?? '/auth/callback')
  const name = readName(answers.name)
  const mode = readChoice('--mode', answers.mode, ['proxy', 'direct'])
  const clients = (answers.client ?? []).map(readClient)
  const roles = readExposed('--app-role', answers.appRole ?? [], baseUrl, (value) => value)
  const blueprint = answers.agentBlueprint ?? false
  if (blueprint) checkBlueprint(mode, answers, clients)
  return {
    name,
    baseUrl,
    mcpUrl,
    mode,
    multiTenant: readChoice('--tenancy', answers.tenancy, ['single', 'multiple']) === 'multiple',
    tenantId: answers.tenant && readGuid('--tenant', answers.tenant),
    cloud: readChoice('--cloud', answers.cloud, ['public', ...(Object.keys(clouds) as Cloud[])]),
    redirectUris: [
      ...(mode === 'proxy' ? [callbackUrl] : []),
      ...clients.flatMap(({ redirectUri }) => redirectUri ?? []),
    ],
    // Entra takes no Application ID URI with http. @see https://learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions
    identifierUris: mode === 'direct' && mcpUrl.startsWith('https:') ? [mcpUrl] : [],
    scopes: readExposed('--scope', answers.scope ?? [], baseUrl, (value) => `${name}: ${value}`),
    roles,
    permissions: readPermissions(answers.permission ?? []),
    credential: readCredential(answers),
    clients: clients.map(({ id }) => id),
    agents: readAgents(answers.agent ?? [], roles),
    blueprint,
  }
}

function readAgents(given: readonly string[], roles: readonly Exposed[]): readonly string[] {
  if (given.length > 0 && roles.length === 0) {
    throw new UsageError(
      '--agent: an agent on its own is authorized by role: add --app-role, such as "Notes.Read.All=Read all notes"',
    )
  }
  return [...new Set(given.map((id) => readGuid('--agent', id)))]
}

/** What no blueprint can be or have. @see https://learn.microsoft.com/entra/agent-id/agent-on-behalf-of-oauth-flow */
function checkBlueprint(
  mode: Plan['mode'],
  { tenancy }: Answers,
  clients: readonly { readonly redirectUri?: string }[],
): void {
  if (mode !== 'direct') {
    throw new UsageError(
      '--agent-blueprint needs --mode direct: neither blueprints nor agents sign anybody in (AADSTS82014)',
    )
  }
  if (clients.some(({ redirectUri }) => redirectUri !== undefined)) {
    throw new UsageError(
      '--client: this client needs a redirect URI on the app, and a blueprint (--agent-blueprint) has none',
    )
  }
  if (tenancy === 'multiple') {
    throw new UsageError('--agent-blueprint: its agent is of one tenant: --tenancy single')
  }
}

/** Replies to questions are not checked before. The first choice is the default. */
function readChoice<const T extends string>(
  option: string,
  given: string | undefined,
  choices: readonly [T, ...T[]],
): T {
  if (given === undefined) return choices[0]
  const chosen = choices.find((choice) => choice === given)
  if (chosen !== undefined) return chosen
  throw new UsageError(`${option} must be one of ${choices.join(', ')}`)
}

/** The issuer of the tokens of managed identities, without the tenant between the two parts. */
export function managedIdentityIssuer(cloud: Cloud): readonly [before: string, after: string] {
  return [`${clouds[cloud].host}/`, '/v2.0']
}

/** Stricter than the server itself: the URL goes into scripts, and into files that shells read. */
function readUrl(given: string | undefined): string {
  const baseUrl = readServerUrl(given)
  const { hostname, pathname } = new URL(baseUrl)
  readPathOption('--base-url: its path', pathname)
  if (/^(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])$/.test(hostname)) return baseUrl
  throw new UsageError('--base-url: its host has characters that no host has')
}

function readServerUrl(given: string | undefined): string {
  try {
    return readBaseUrl(given?.replace(/\/$/, '')).baseUrl
  } catch (error) {
    throw new UsageError((error as Error).message.replace('entraAuth: baseUrl', '--base-url'))
  }
}

/** As the server makes it: without a slash at the end, and without the path twice. */
function readMcpUrl(baseUrl: string, path: string): string {
  readPathOption('--resource', path)
  const { pathname } = new URL(baseUrl)
  try {
    return readResources([path], baseUrl, pathname === '/' ? '' : pathname)[0].url
  } catch (error) {
    const says = (error as Error).message
      .replace('entraAuth: baseUrl', '--base-url')
      .replace('resources adds', '--resource adds')
      .replace("write baseUrl: '", "write --base-url '")
      .replace("resources: ['/']", '--resource /')
      .replace('at baseUrl', 'at the base URL')
    throw new UsageError(says)
  }
}

/** Longest display name that the portal takes. */
const longestName = 120

function readName(name = ''): string {
  const isLine = !/[\p{C}\p{Zl}\p{Zp}]/u.test(name)
  if (name.trim() !== '' && name.length <= longestName && isLine) return name.trim()
  throw new UsageError(`--name must be one line of at most ${longestName} characters`)
}

function readGuid(option: string, value: string | undefined): string {
  if (isGuid(value)) return value.toLowerCase()
  throw new UsageError(`${option} must be a GUID`)
}

function readClient(given: string): { readonly id: string; readonly redirectUri?: string } {
  const known = knownClients.get(given.toLowerCase())
  if (known) return known
  if (isGuid(given)) return { id: given.toLowerCase() }
  throw new UsageError(
    `--client: ${JSON.stringify(given)} is not known: give ${[...knownClients.keys()].join(', ')}, or a client id (a GUID)`,
  )
}

function readExposed(
  option: string,
  given: readonly string[],
  baseUrl: string,
  otherwise: (value: string) => string,
): readonly Exposed[] {
  const exposed = given.map((one) => {
    const [value = '', ...rest] = one.split('=')
    if (!/^[A-Za-z0-9][A-Za-z0-9._:-]{0,119}$/.test(value)) {
      throw new UsageError(`${option} must begin with a name such as notes.read, then =text`)
    }
    const text = rest.join('=').trim() || otherwise(value)
    if (/[\p{C}\p{Zl}\p{Zp}]/u.test(text))
      throw new UsageError(`${option}: its text must be one line`)
    return { id: stableId(`${baseUrl}#${option}/${value}`), value, text: text.slice(0, 1000) }
  })
  if (new Set(exposed.map(({ value }) => value)).size !== exposed.length) {
    throw new UsageError(`${option} names something twice`)
  }
  if (option === '--scope' && exposed.length === 0) {
    throw new UsageError(
      '--scope is missing: name at least one, such as "notes.read=Read your notes"',
    )
  }
  return exposed
}

/** The namespace of URLs. @see RFC 9562 section 6.6 */
const urlNamespace = Buffer.from('6ba7b8119dad11d180b400c04fd430c8', 'hex')

/** A UUID that is the same at every run, so that a script can be made anew. @see RFC 9562 section 5.5 */
function stableId(name: string): string {
  const bytes = createHash('sha1').update(urlNamespace).update(name).digest().subarray(0, 16)
  bytes.writeUInt8(((bytes[6] ?? 0) & 0x0f) | 0x50, 6)
  bytes.writeUInt8(((bytes[8] ?? 0) & 0x3f) | 0x80, 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** Permissions of Graph that every sign-in asks for. */
export const atSignIn: readonly string[] = ['openid', 'profile', 'offline_access']

/**
 * With a permission of Graph come those that every sign-in asks for: where only administrators consent, they have to be
 * in the registration.
 */
function readPermissions(given: readonly string[]): readonly Permission[] {
  const named = given.map(readPermission)
  const always = atSignIn.map(readPermission)
  const isNamed = ({ api, scope }: Permission) =>
    named.some((other) => other.api === api && other.scope === scope)
  return [...named, ...always.filter((permission) => !isNamed(permission))]
}

function readPermission(given: string): Permission {
  const [name = '', id] = given.replace(/^https:\/\/graph\.microsoft\.com\//, '').split('=')
  const [, api = microsoftGraph, scope = ''] =
    /^(?:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/)?([A-Za-z][A-Za-z0-9._-]{0,119})$/i.exec(
      name,
    ) ?? []
  if (scope === '') {
    throw new UsageError(
      '--permission must be a delegated permission of Microsoft Graph (User.Read), or <API client id>/<scope>; add =<its id> for --format graph',
    )
  }
  const known = api === microsoftGraph ? knownPermissions.get(scope) : undefined
  const given_id = id === undefined ? known : readGuid('--permission: the id', id)
  return { api: api.toLowerCase(), scope, ...(given_id !== undefined && { id: given_id }) }
}

const credentialKinds = ['secret', 'certificate', 'managed-identity', 'workload-identity'] as const

function readCredential(answers: Answers): PlannedCredential {
  switch (readChoice('--credential', answers.credential, credentialKinds)) {
    case 'certificate':
      return readCertificate(answers.certificate)
    case 'managed-identity':
      return {
        kind: 'managed-identity',
        subject: readGuid('--identity-principal-id', answers.identityPrincipalId),
        ...(answers.identityClientId !== undefined && {
          clientId: readGuid('--identity-client-id', answers.identityClientId),
        }),
      }
    case 'workload-identity':
      return {
        kind: 'workload-identity',
        issuer: readIssuer(answers.federatedIssuer),
        subject: readSubject(answers.federatedSubject),
      }
    case 'secret':
      return { kind: 'secret' }
  }
}

/** The file may hold the key, too. */
const blockOf = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/

function readCertificate(path: string | undefined): PlannedCredential {
  if (path === undefined) throw new UsageError('--certificate must be the path of a PEM file')
  try {
    const [pem = ''] = blockOf.exec(readFileSync(path, 'utf8')) ?? []
    const certificate = new X509Certificate(pem)
    return {
      kind: 'certificate',
      pem: certificate.toString(),
      der: certificate.raw.toString('base64'),
    }
  } catch {
    throw new UsageError(`--certificate: there is no certificate that can be read in ${path}`)
  }
}

function readIssuer(issuer = ''): string {
  if (URL.canParse(issuer) && new URL(issuer).protocol === 'https:' && isPlain(issuer))
    return issuer
  throw new UsageError('--federated-issuer must be the https URL that the tokens name as iss')
}

function readSubject(subject = ''): string {
  if (subject !== '' && isPlain(subject)) return subject
  throw new UsageError(
    '--federated-subject must be what the tokens name as sub, such as system:serviceaccount:mcp:notes',
  )
}

/** Printable ASCII, without what could be taken for a placeholder. */
function isPlain(text: string): boolean {
  return /^[\x21-\x7e]{1,600}$/.test(text) && !/[{}]/.test(text)
}
