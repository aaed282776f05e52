/** The options of `entraAuth` once they are read: everything checked, every default filled in. */
import type { Clock } from '../async/clock.js'
import { monotonicNow } from '../async/monotonic-now.js'
import { type KeyRing, keyRing, type RingKey } from '../crypto/key-ring.js'
import { type EntraAuthority, entraAuthority } from '../entra/authority.js'
import { agentOf } from '../entra/credential-agent.js'
import { type Mounts, noMounts } from '../http/mounts.js'
import { type Logger, type Report, reporter } from '../http/report.js'
import { type AccountSlot, accountSlot } from '../login/browser-sessions.js'
import type { LoginPolicy } from '../login/policy.js'
import { knownCustomSchemes } from '../oauth/redirect-uri.js'
import type { Resources } from '../oauth/resource.js'
import type { Looks } from '../pages/look.js'
import type { ConsentPolicy } from '../routes/context.js'
import { memoryStorage } from '../storage/memory.js'
import type { Storage } from '../storage/storage.js'
import { clients, type RegisteredClients } from '../tokens/clients.js'
import { eventSubjects } from '../tokens/event-subject.js'
import { type Lifetimes, lifetimes } from '../tokens/lifetimes.js'
import { readClientOptions } from './client-options.js'
import { readIdentityOptions } from './identity-options.js'
import { needed } from './needed.js'
import {
  checkNames,
  checkStorage,
  checkStrategy,
  checkText,
  checkTypes,
  type EntraAuthOptions,
  type Mode,
  readBaseUrl,
  readConsentPolicy,
  readDpop,
  readMode,
  readPath,
  readResources,
  readSchemes,
} from './options.js'
import { readPageOptions } from './page-options.js'

/** What `entraAuth` works with. Options that need no reading stay in `options`. */
export interface Settings {
  readonly options: EntraAuthOptions
  readonly mode: Mode
  readonly baseUrl: string
  /** The path of `baseUrl`: empty at the root of the host. */
  readonly basePath: string
  readonly callbackPath: string
  readonly resources: Resources
  readonly customSchemes: readonly string[]
  readonly authority: EntraAuthority
  readonly policy: LoginPolicy
  readonly consentPolicy: ConsentPolicy
  readonly account: AccountSlot
  readonly stepUpByLogin: boolean
  readonly dpop: ReturnType<typeof readDpop>
  readonly lifetimes: Lifetimes
  readonly storage: Storage
  readonly ring: KeyRing | undefined
  /** There with `ring`, and only then. */
  readonly registered: RegisteredClients | undefined
  readonly clients: ReturnType<typeof readClientOptions>
  readonly identities: ReturnType<typeof readIdentityOptions>
  readonly looks: Looks
  readonly mounts: Mounts
  readonly report: Report
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: () => number
}

/** @throws TypeError that names the option and the remedy */
export function readSettings(options: EntraAuthOptions): Settings {
  checkNames(options)
  checkTypes(options)
  const { storage = memoryStorage(), now = Date.now } = options
  const base = readBaseUrl(options.baseUrl)
  checkText('clientId', options.clientId, 'Application (client) ID of the app registration')
  checkStrategy(options.scopes, options.clientId)
  checkAgentMode(options)
  checkStorage(storage)
  const customSchemes = [...knownCustomSchemes, ...readSchemes(options.customSchemes)]
  const ring = options.keys === undefined ? undefined : keyRing(options.keys)
  const registered = ring && clients(ring, now)
  const clientOptions = readClientOptions(options, customSchemes)
  const mode = readMode(options)
  const describe = eventSubjects({
    findClient: (id) => clientOptions.operatorClient(id) ?? registered?.find(id),
    pseudonymKey: readPseudonymKey(options, ring),
  })
  return Object.freeze({
    options,
    mode,
    ...base,
    callbackPath: readPath('callbackPath', options.callbackPath ?? '/auth/callback'),
    resources: readResources(options.resources, base.baseUrl, base.basePath),
    customSchemes,
    authority: readAuthority(options),
    policy: readPolicy(options),
    consentPolicy: readConsentPolicy(options),
    account: accountSlot(options.connectedApps),
    stepUpByLogin: options.stepUpByLogin ?? true,
    dpop: readDpop(options, mode),
    lifetimes: lifetimes(options.lifetimes),
    storage,
    ring,
    registered,
    clients: clientOptions,
    identities: readIdentityOptions(options.identityAssertions),
    looks: readPageOptions(options, base.baseUrl),
    mounts: noMounts(),
    report: reporter({ logger: readLogger(options), now, describe }),
    now,
    // A clock of a test's only goes forward, so it serves as both.
    monotonic: options.now ?? monotonicNow,
  })
}

/** At Entra it would only come out when the first user is sent there. */
function checkAgentMode(options: EntraAuthOptions): void {
  const agent = agentOf(options.credential)
  if (agent === options.clientId.toLowerCase()) {
    throw new TypeError(
      'entraAuth: clientId is the blueprint, and agent of agentCredential is one of its agent identities: these two are the same',
    )
  }
  if (readMode(options) === 'direct' || agent === undefined) return
  throw new TypeError(
    "entraAuth: with agentCredential say mode: 'direct', and mount resourceMetadata(auth): neither agents nor blueprints can sign users in (AADSTS82014)",
  )
}

function readPseudonymKey(
  { pseudonymousEvents = false }: EntraAuthOptions,
  ring: KeyRing | undefined,
): RingKey | undefined {
  if (typeof pseudonymousEvents !== 'boolean') {
    throw new TypeError('entraAuth: pseudonymousEvents must be true or false')
  }
  if (!pseudonymousEvents) return undefined
  needed('entraAuth with pseudonymousEvents', 'keys', ring)
  return ring.current
}

function readAuthority({ tenantId, authorityHost, cloud, policy }: EntraAuthOptions) {
  return entraAuthority({
    tenantId,
    ...(authorityHost !== undefined && { host: authorityHost }),
    ...(cloud !== undefined && { cloud }),
    ...(policy !== undefined && { policy }),
  })
}

function readPolicy({ requiredRoles = [], allow = () => true }: EntraAuthOptions): LoginPolicy {
  if (!Array.isArray(requiredRoles) || !requiredRoles.every((role) => typeof role === 'string')) {
    throw new TypeError(
      "entraAuth: requiredRoles must be a list of app roles, such as ['Notes.User']",
    )
  }
  if (typeof allow !== 'function') {
    throw new TypeError('entraAuth: allow must be a function: (user, claims) => true or false')
  }
  return { requiredRoles, allow }
}

/** A logger that is none would only be found out by the first line for it. */
function readLogger({ logger }: EntraAuthOptions): Logger | undefined {
  if (logger === undefined) return undefined
  const { info, warn, error, isLevelEnabled = warn } = Object(logger) as Logger
  if ([info, warn, error, isLevelEnabled].every((each) => typeof each === 'function')) return logger
  throw new TypeError(
    "entraAuth: logger must have the functions info, warn and error, each of (fields, message), as pino's loggers have",
  )
}
