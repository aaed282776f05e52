/**
 * Grants made on the word of another identity provider than Entra: who its user is in Entra's terms, whether they may
 * come in, and with which scopes. Entra is not asked, so such a grant has no tokens of Entra's.
 */
import type { Clock } from '../async/clock.js'
import { sha256 } from '../crypto/hashing.js'
import { isGuid } from '../entra/authority.js'
import { type ScopeStrategy, withRequired } from '../entra/scopes.js'
import type { EntraVerifier } from '../entra/verify.js'
import { attribute } from '../http/event-facts.js'
import { unavailable } from '../oauth/errors.js'
import { assertionRefusal, type IdentityAssertionClaims } from '../oauth/id-jag.js'
import type { TrustedIssuer } from '../tokens/identity-assertions.js'
import type { Grant, User } from '../tokens/records.js'
import { askInTime, isPolicyRefusal, type LoginPolicy, recheckPolicy } from './policy.js'
import { assertedClaims } from './user.js'

/** A user in Entra's terms, as `mapUser` finds them. */
export interface MappedUser {
  /** Tenant id. */
  readonly tid: string
  /** Object id. */
  readonly oid: string
  /** Display name. */
  readonly name?: string
  /** Sign-in name. */
  readonly username?: string
  /** App roles (default: none). They count for `requiredRoles` and for `scopeGuard`. */
  readonly roles?: readonly string[]
}

/** Finds the user behind an assertion. Nothing, null or false refuses. */
export type MapUser = (
  claims: IdentityAssertionClaims,
) => MappedUser | Refused | Promise<MappedUser | Refused>

type Refused = undefined | null | false

/** An identity provider, and how its users are found. */
export interface AssertingIssuer extends TrustedIssuer {
  readonly mapUser: MapUser
}

/** What admitting needs. */
export interface AssertedContext {
  readonly clientId: string
  readonly scopes: ScopeStrategy
  readonly verifier: EntraVerifier
  readonly policy: LoginPolicy
  readonly lifetimes: { readonly accessToken: number }
  readonly now: Clock
}

/** What the client asks for with its assertion. */
export interface AssertedRequest {
  readonly claims: IdentityAssertionClaims
  readonly mapUser: MapUser
  /** SHA-256 of the client id. */
  readonly client: string
  /** As it was sent. */
  readonly scope: string | undefined
  readonly resource: string
}

/**
 * Makes the grant of an assertion that has been verified.
 *
 * @throws OAuthError `invalid_grant` for a user who is unknown or may not come in, or an assertion without the scopes
 *   this server needs; `invalid_scope`; 503 when `mapUser` or the login policy fails
 */
export async function admitAssertedUser(
  context: AssertedContext,
  { claims, mapUser, client, scope, resource }: AssertedRequest,
): Promise<Grant> {
  const { requested, scopes } = grantScopes(context, claims, scope)
  // Before anybody is asked: what they say of the user before a cut-off does not count after it.
  const seconds = context.now() / 1000
  const user = await findUser(context, claims, mapUser)
  const endsAt = Math.floor(seconds) + context.lifetimes.accessToken
  const grant: Grant = {
    user,
    client,
    scopes,
    requested,
    resource,
    assertedBy: claims.iss,
    // The access was given when the issuer said so: a cut-off since then ends it.
    createdAt: Math.min(seconds, claims.iat),
    renewedAt: Math.floor(seconds),
    endsAt,
    generation: 0,
  }
  await checkUser(context, grant)
  return grant
}

/**
 * The scopes that both the client and the issuer name. An issuer that names none has not said that the user may do
 * more than every user must be able to.
 */
function grantScopes(
  { scopes }: AssertedContext,
  claims: IdentityAssertionClaims,
  scope: string | undefined,
): Pick<Grant, 'requested' | 'scopes'> {
  const asserted = claims.scope === undefined ? scopes.required : scopes.fromUpstream(claims.scope)
  const requested =
    scope === undefined ? asserted : withRequired(scopes, scopes.fromClient(scope, asserted))
  const granted = scopes.grant(requested, asserted)
  if (scopes.missing(granted, scopes.required).length === 0) return { requested, scopes: granted }
  throw assertionRefusal('does not grant the scopes that this server needs')
}

/** Entra's ids in lower case, as Entra's own tokens have them: cut-offs and the index of apps go by these two. */
async function findUser(
  context: AssertedContext,
  claims: IdentityAssertionClaims,
  mapUser: MapUser,
): Promise<User> {
  const found = await askForUser(claims, mapUser)
  if (!found) throw unknownUser('mapUser refused')
  const { tid, oid, name, username, roles } = found
  if (!isGuid(tid) || !isGuid(oid)) throw unknownUser('mapUser gave no GUIDs as tid and oid')
  const user = { tid: tid.toLowerCase(), oid: oid.toLowerCase() }
  return {
    ...user,
    // Pairwise and without a name, as Entra's own; an issuer's `sub` may be a mail address.
    sub: sha256([context.clientId, user.tid, user.oid].join('\n')),
    // Directories answer null for what they do not know.
    ...(typeof name === 'string' && { name }),
    ...(typeof username === 'string' && { username }),
    roles: readRoles(roles ?? []),
  }
}

/** Anything but a list of names: nobody can tell what the user may do. */
function readRoles(given: unknown): readonly string[] {
  if (Array.isArray(given) && given.every((role) => typeof role === 'string')) return [...given]
  throw unknownUser('mapUser gave roles that are no list of texts')
}

async function askForUser(claims: IdentityAssertionClaims, mapUser: MapUser) {
  try {
    return await askInTime('mapUser', () => mapUser(claims))
  } catch (cause) {
    throw unavailable(
      'This server cannot find out right now who the user is. Try again shortly.',
      cause,
    )
  }
}

/** The tenant and the login policy are asked as at every other login. */
async function checkUser({ verifier, policy }: AssertedContext, grant: Grant): Promise<void> {
  const { user, scopes, resource } = grant
  try {
    if (!(await verifier.isTenantAllowed(user.tid))) {
      throw unknownUser('the tenant is not one whose users may come in')
    }
    await recheckPolicy(policy, user, assertedClaims(grant))
  } catch (error) {
    const refusal = isPolicyRefusal(error) ? assertionRefusal(policyWords, error) : error
    throw attribute(refusal, { user, scopes, resource })
  }
}

const policyWords = 'is for a user who may not use this server'

function unknownUser(cause: string) {
  return assertionRefusal('is for a user whom this server does not know', cause)
}
