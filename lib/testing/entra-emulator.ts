/** `startEntra`: combines directory, endpoints and server, and returns the controls. */
import { randomUUID } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { createCertificate } from './certificate.js'
import { createClock } from './clock.js'
import { createConsents } from './consents.js'
import { defaultApps, defaultTenants } from './defaults.js'
import {
  createDirectory,
  type Directory,
  type EntraApp,
  type EntraTenant,
  type EntraUser,
  type UserRef,
  userKey,
} from './directory.js'
import type { Emulation } from './emulation.js'
import {
  createFaults,
  type EntraFault,
  type Faults,
  orderedError,
  orderedReply,
  retryAfter,
} from './faults.js'
import { createGraphChallenges } from './graph-challenges.js'
import { appServicePath } from './identity-endpoints.js'
import { withHeaders } from './messages.js'
import { createMfa } from './mfa.js'
import {
  type MintAccessTokenOptions,
  type MintIdTokenOptions,
  mintAccessToken,
  mintIdToken,
} from './mint.js'
import type { EntraOptions } from './options.js'
import {
  createRequestLog,
  type EntraEndpoint,
  type LoggedRequest,
  type RequestLog,
} from './request-log.js'
import { describeRequest, findRoute } from './routes.js'
import { parseScope } from './scopes.js'
import { type Handler, listen } from './server.js'
import { createSigningKeys, type SigningKey } from './signing-keys.js'

/** A running emulator of Microsoft Entra ID, and its controls. */
export interface EntraEmulator {
  /** The authority host, such as `http://localhost:40123`. */
  readonly url: string
  /** URL of Graph: `{url}/v1.0`. */
  readonly graphUrl: string
  /** PEM of the throw-away CA, with `https`. */
  readonly ca: string | undefined
  /**
   * Environment variables of a process that can use managed identities: at App Service, and on a virtual machine (tests
   * cannot listen on 169.254.169.254, so the metadata endpoint is here).
   */
  readonly identityEnvironment: {
    readonly appService: { readonly IDENTITY_ENDPOINT: string; readonly IDENTITY_HEADER: string }
    readonly virtualMachine: { readonly AZURE_POD_IDENTITY_AUTHORITY_HOST: string }
  }
  /** The first tenant. */
  readonly tenant: EntraTenant
  readonly tenants: readonly EntraTenant[]
  /** The first app. */
  readonly app: EntraApp
  readonly apps: readonly EntraApp[]
  /** The agents of the options. */
  readonly agents: readonly EntraApp[]
  /** Users of the first tenant. */
  readonly users: readonly EntraUser[]
  /** Every request so far, oldest first. */
  readonly requests: readonly LoggedRequest[]
  /** The published keys, the one that signs first. */
  readonly signingKeys: readonly SigningKey[]
  /** A user of any tenant, by username or object id; a `TypeError` when there is none. */
  user(ref: UserRef): EntraUser
  /** The requests to one endpoint. */
  requestsTo(endpoint: EntraEndpoint): readonly LoggedRequest[]
  /** Forgets the requests so far. */
  clearRequests(): void
  /** Orders a fault; the function it returns removes it. */
  fault(fault: EntraFault): () => void
  /** Removes all faults. */
  clearFaults(): void
  /** Signs with a new key from now on; the old one stays published unless `keepOld` is false. */
  rotateKeys(options?: { readonly keepOld?: boolean }): Promise<void>
  /** Mints an access token, valid by default. */
  mintAccessToken(options?: MintAccessTokenOptions): Promise<string>
  /** Mints an ID token, valid by default. */
  mintIdToken(options?: MintIdTokenOptions): Promise<string>
  /** Revokes every refresh token the user has so far: AADSTS50173. */
  revokeUser(user: UserRef): void
  /** Demands MFA of the user on-behalf-of, until a sign-in carries `claims`; or stops demanding it. */
  requireMfa(user: UserRef, on: boolean): void
  /**
   * Graph answers this user's tokens with 401 `insufficient_claims` and these claims (JSON), until a token comes
   * that on-behalf-of issued for them; undefined ends it.
   */
  challengeGraph(user: UserRef, claims: string | undefined): void
  /** Consents to full scopes (space separated) for a user or all, for a client: the first app by default. */
  consent(user: UserRef | 'all', scope: string, clientId?: string): void
  /** Withdraws consent. */
  withdrawConsent(user: UserRef | 'all', scope: string, clientId?: string): void
  /** Registers a redirect URI on the platform "Web": of the first app by default. */
  addRedirectUri(uri: string, clientId?: string): void
  /** The emulator's time, in seconds since 1970. */
  now(): number
  /** Moves the emulator's clock forward by this many seconds. */
  advance(seconds: number): void
  /** Sets the emulator's clock to a date or to seconds since 1970. It goes on from there. */
  setTime(time: number | Date): void
  /** Stops at once, open requests and idle connections included. */
  close(): Promise<void>
}

/**
 * Starts an emulator of Microsoft Entra ID on loopback: a real HTTP server that refuses what Entra
 * refuses, with a small Microsoft Graph behind it.
 *
 * @throws TypeError when the directory in the options makes no sense, or a signing key is not an RSA private key
 * @throws Error when `https` is asked for and the package `selfsigned` is missing
 *
 * @example
 * const entra = await startEntra()
 * entra.addRedirectUri('http://localhost:3000/auth/callback')
 * const token = await entra.mintAccessToken({ user: 'ada@contoso.example', scopes: ['notes.read'] })
 * entra.fault({ at: 'token', grant: 'on_behalf_of', user: 'bob@contoso.example', retryAfter: 30 })
 * // ... requests to the server under test ...
 * expect(entra.requestsTo('token')).toHaveLength(1)
 * await entra.close()
 */
export async function startEntra(options: EntraOptions = {}): Promise<EntraEmulator> {
  const { tenants = defaultTenants, apps = defaultApps, host = 'localhost', port = 0 } = options
  const directory = createDirectory(tenants, apps, options.managedIdentities, options.agents)
  const certificate = options.https ? await createCertificate(host) : undefined
  const keys = await createSigningKeys(options.signingKeys)
  const server = await listen(port, certificate)
  const url = `${certificate ? 'https' : 'http'}://${host}:${server.port}`
  const emulation = createEmulation(url, directory, keys, options)
  const log = createRequestLog()
  const faults = createFaults((ref) => findUser(directory, ref).username)
  server.handle(createHandler(emulation, log, faults))
  return createControls({ emulation, log, faults, ca: certificate?.ca, close: server.close })
}

function createEmulation(
  url: string,
  directory: Directory,
  keys: Emulation['keys'],
  options: EntraOptions,
): Emulation {
  const {
    accessTokenLifetime = 4000,
    keyIssuer = `${url}/{tenantid}/v2.0`,
    managedIdentities = [],
  } = options
  return {
    url,
    clock: createClock(),
    directory,
    consents: createConsents(directory),
    mfa: createMfa(directory.tenants.flatMap(({ users }) => users)),
    graphChallenges: createGraphChallenges(),
    keys,
    keyIssuer,
    accessTokenLifetime,
    managedIdentities,
    identityHeader: randomUUID(),
    codes: new Map(),
    refreshTokens: new Map(),
    sessions: new Map(),
  }
}

/** Logs a request, and answers it unless a fault prevents that. */
function createHandler(emulation: Emulation, log: RequestLog, faults: Faults): Handler {
  return async function entraHandler(request, connection) {
    const route = findRoute(request.path)
    const entry = describeRequest(emulation, request, route)
    const recordAnswer = log.add(entry)
    const fault = faults.take(entry)
    if (fault?.delay) await wait(fault.delay * 1000, undefined, { signal: connection.closing })
    if (fault?.reset) connection.reset()
    if (fault?.reset || fault?.hang) return undefined
    const reply =
      (fault && orderedReply(fault)) ??
      route.answer(emulation, request, fault && orderedError(fault))
    recordAnswer(reply.status, reply.error)
    return fault ? withHeaders(reply, retryAfter(fault)) : reply
  }
}

interface Parts {
  readonly emulation: Emulation
  readonly log: RequestLog
  readonly faults: Faults
  readonly ca: string | undefined
  readonly close: () => Promise<void>
}

function createControls({ emulation, log, faults, ca, close }: Parts): EntraEmulator {
  const { url, clock, directory, keys, mfa } = emulation
  const find = (ref: UserRef) => findUser(directory, ref)
  return {
    url,
    graphUrl: `${url}/v1.0`,
    ca,
    identityEnvironment: {
      appService: {
        IDENTITY_ENDPOINT: `${url}${appServicePath}`,
        IDENTITY_HEADER: emulation.identityHeader,
      },
      virtualMachine: { AZURE_POD_IDENTITY_AUTHORITY_HOST: url },
    },
    tenant: first(directory.tenants),
    tenants: directory.tenants,
    get app() {
      return first(directory.apps)
    },
    apps: directory.apps,
    agents: directory.agents,
    users: first(directory.tenants).users,
    get requests() {
      return log.requests
    },
    get signingKeys() {
      return keys.published
    },
    user: find,
    requestsTo: (endpoint) => log.requests.filter((request) => request.endpoint === endpoint),
    clearRequests: log.clear,
    fault: faults.add,
    clearFaults: faults.clear,
    rotateKeys: keys.rotate,
    mintAccessToken: async (options = {}) => mintAccessToken(emulation, options),
    mintIdToken: async (options = {}) => mintIdToken(emulation, options),
    revokeUser: (user) => revoke(emulation, find(user)),
    challengeGraph: (user, claims) => emulation.graphChallenges.challenge(find(user), claims),
    requireMfa: (user, on) => mfa.require(find(user), on),
    consent: (user, scope, clientId) => changeConsent(emulation, 'record', user, scope, clientId),
    withdrawConsent: (user, scope, clientId) =>
      changeConsent(emulation, 'withdraw', user, scope, clientId),
    addRedirectUri: (uri, clientId = first(directory.apps).clientId) =>
      directory.addRedirectUri(uri, clientId),
    now: clock.now,
    advance: clock.advance,
    setTime: clock.set,
    close,
  }
}

function revoke({ refreshTokens }: Emulation, user: EntraUser): void {
  for (const record of refreshTokens.values()) {
    if (userKey(record.user) === userKey(user)) record.revoked = true
  }
}

function changeConsent(
  { directory, consents }: Emulation,
  change: 'record' | 'withdraw',
  user: UserRef | 'all',
  scope: string,
  clientId = first(directory.apps).clientId,
): void {
  const client = directory.app(clientId)
  if (!client) throw new TypeError(`consent: no app with the client id "${clientId}"`)
  const { resources } = parseScope(directory, scope, client)
  consents[change](user === 'all' ? user : findUser(directory, user), client, resources)
}

function findUser(directory: Directory, ref: UserRef): EntraUser {
  const user = directory.user(ref)
  if (user) return user
  const known = directory.tenants.flatMap(({ users }) => users.map(({ username }) => username))
  throw new TypeError(`No such user: ${JSON.stringify(ref)}. There are: ${known.join(', ')}`)
}

/** The directory has been checked, so only lists of users may be empty. */
function first<T>(list: readonly T[]): T {
  const [item] = list
  if (item === undefined) throw new TypeError('The directory is empty')
  return item
}
