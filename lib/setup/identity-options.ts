/** The option `identityAssertions`: identity providers that let clients in for their users. */
import type { Clock } from '../async/clock.js'
import { checkOptionNames } from '../entra/option-names.js'
import type { Report } from '../http/report.js'
import { type SafeFetchOptions, safeFetch } from '../http/safe-fetch.js'
import type { AssertingIssuer, MapUser } from '../login/asserted-user.js'
import { type AssertionAlgorithm, assertionAlgorithms } from '../oauth/client-keys.js'
import { isLoopbackHost } from '../oauth/loopback.js'
import { hasUserinfo } from '../oauth/userinfo.js'
import type { Vault } from '../storage/vault.js'
import { type IdentityAssertions, identityAssertions } from '../tokens/identity-assertions.js'
import { type IssuerKeys, issuerKeys } from '../tokens/issuer-keys.js'

/**
 * An identity provider that lets clients in for its users, without a sign-in at Entra (enterprise-managed
 * authorization).
 *
 * @see draft-ietf-oauth-identity-assertion-authz-grant, MCP "Enterprise-Managed Authorization"
 */
export interface IdentityIssuer {
  /** Its issuer, spelt exactly as in its assertions: https, or http on loopback. */
  readonly issuer: string
  /** Where its keys are (default: what its metadata says). */
  readonly jwksUri?: string
  /** Algorithms it may sign with (default: RS256, ES256 and EdDSA). */
  readonly algorithms?: readonly AssertionAlgorithm[]
  /** Ids of the clients it may let in (default: all that it names). */
  readonly clients?: readonly string[]
  /**
   * Finds the user in Entra's terms: `{ tid, oid }`, and what else is known; nothing refuses. Asked for every assertion,
   * with its verified claims. Go by ids that are never given to somebody else, not by mail addresses. When it throws, or
   * takes longer than 10 seconds, the answer is a 503 and nothing is lost.
   */
  readonly mapUser: MapUser
}

/** What checking assertions needs besides the option. */
export interface IdentityFloor {
  readonly baseUrl: string
  readonly records: Vault
  readonly report: Report
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: () => number
  /** How documents are fetched. */
  readonly fetching: SafeFetchOptions
}

/** @throws TypeError that names the option and the remedy */
export function readIdentityOptions(given: readonly IdentityIssuer[] = []) {
  if (!Array.isArray(given)) {
    throw new TypeError('entraAuth: identityAssertions must be a list of identity providers')
  }
  const issuers = given.map(readIssuer)
  if (new Set(issuers.map(({ issuer }) => issuer)).size !== issuers.length) {
    throw new TypeError('entraAuth: identityAssertions names an issuer twice')
  }
  return {
    issuers,
    enabled: issuers.length > 0,
    /** Undefined when no issuer is trusted. */
    build(floor: IdentityFloor): IdentityAssertions<AssertingIssuer> | undefined {
      if (issuers.length === 0) return undefined
      const { fetching, report, now, monotonic, baseUrl, records } = floor
      const onStale = (cause: unknown) =>
        report('failure', { endpoint: 'identity issuer', reason: 'last_good_copy_used', cause })
      const keys = keysOf(issuers, { fetching, onStale, now, monotonic })
      return identityAssertions({ issuers, baseUrl, records, keys, now })
    },
  }
}

/** What finding the keys of issuers needs. */
export interface KeysFloor extends Pick<IdentityFloor, 'fetching' | 'now' | 'monotonic'> {
  readonly onStale: (cause: unknown) => void
}

/** The keys of these issuers, wherever the operator says that they are. */
export function keysOf(
  issuers: readonly AssertingIssuer[],
  { fetching, onStale, now, monotonic }: KeysFloor,
): IssuerKeys {
  const fetch = safeFetch(fetching, monotonic, vouchedFor(issuers))
  return issuerKeys({ fetch, onStale, now, monotonic })
}

/** What the operator names may be inside. What an issuer's metadata names elsewhere must be public. */
function vouchedFor(issuers: readonly AssertingIssuer[]): (url: URL) => boolean {
  const named = issuers.flatMap(({ issuer, jwksUri = issuer }) => [issuer, jwksUri])
  const origins = new Set(named.map((url) => new URL(url).origin))
  return ({ origin }) => origins.has(origin)
}

const names = Object.keys({
  issuer: true,
  jwksUri: true,
  algorithms: true,
  clients: true,
  mapUser: true,
} satisfies Record<keyof IdentityIssuer, true>)

function readIssuer(given: IdentityIssuer): AssertingIssuer {
  const {
    issuer,
    jwksUri,
    algorithms = assertionAlgorithms,
    clients,
    mapUser,
  } = Object(given) as IdentityIssuer
  checkAddress('issuer', issuer)
  // A misspelt `clients` would let in every client.
  checkOptionNames('entraAuth: identityAssertions', given, names)
  if (/[?#]/.test(issuer)) throw wrong(issuer, 'has a query or a fragment, which no issuer has')
  if (jwksUri !== undefined) checkAddress('jwksUri', jwksUri)
  if (!Array.isArray(algorithms) || algorithms.length === 0 || !algorithms.every(isAlgorithm)) {
    throw wrong(issuer, `needs algorithms out of ${assertionAlgorithms.join(', ')}`)
  }
  if (clients !== undefined && !isListOfIds(clients)) {
    throw wrong(issuer, 'needs client ids in clients')
  }
  if (typeof mapUser !== 'function') {
    throw wrong(
      issuer,
      'needs mapUser, a function that finds the user: (claims) => ({ tid, oid }), or undefined to refuse',
    )
  }
  return Object.freeze({ issuer, jwksUri, algorithms, clients, mapUser })
}

function checkAddress(name: string, given: unknown): void {
  const url = typeof given === 'string' && URL.canParse(given) ? new URL(given) : undefined
  const secure =
    url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopbackHost(url.hostname))
  // Not shown: it may hold a password.
  if (url && hasUserinfo(url))
    throw new TypeError(`entraAuth: identityAssertions: ${name} must have no userinfo`)
  if (secure) return
  throw new TypeError(
    `entraAuth: identityAssertions: ${name} must be an https URL (http only on loopback): ${JSON.stringify(given)}`,
  )
}

function isAlgorithm(value: unknown): value is AssertionAlgorithm {
  return assertionAlgorithms.some((one) => one === value)
}

function isListOfIds(value: unknown): boolean {
  return Array.isArray(value) && value.every((id) => typeof id === 'string' && id !== '')
}

function wrong(issuer: string, why: string): TypeError {
  return new TypeError(`entraAuth: identityAssertions: ${JSON.stringify(issuer)} ${why}`)
}
