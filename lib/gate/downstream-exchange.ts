/**
 * Exchanges a caller's token on behalf of the user, and turns Entra's refusals into answers. In proxy mode a
 * challenge is remembered, so that the next login carries it to Entra. A challenge that a login has carried without
 * success is not raised again: that would be a loop.
 */
import type { Clock } from '../async/clock.js'
import { constantTimeEqual, sha256 } from '../crypto/hashing.js'
import { agentConsentUrl } from '../entra/agent-consent.js'
import type { EntraAuthority } from '../entra/authority.js'
import { EntraError } from '../entra/errors.js'
import type { ExchangeResult, OnBehalfOf } from '../entra/on-behalf-of.js'
import type { EventFacts } from '../http/event-facts.js'
import type { Report } from '../http/report.js'
import { upstreamDetail } from '../login/upstream-outcome.js'
import { OAuthError } from '../oauth/errors.js'
import {
  answeredOf,
  type Challenge,
  type Challenges,
  challengedUser,
  challengeId,
  mayBeRaised,
} from '../tokens/challenges.js'
import type { Grants } from '../tokens/grants.js'
import type { User } from '../tokens/records.js'
import type { RenewAssertion } from './assertion-renewal.js'
import type { DownstreamAccessToken } from './caller.js'
import { grantBehind, isOwn, type LiveTokens } from './own-token.js'
import type { PromptLimit } from './prompt-limit.js'
import { type EntraAssertion, fromGrant, type VerifiedToken } from './verified-token.js'
import { wantedBy } from './wanted.js'

/** What is wanted downstream. */
export interface ExchangeRequest {
  readonly scopes: readonly string[]
  /** A claims challenge of the downstream API, as JSON. */
  readonly claims?: string
  /** Another tenant than the user's own. */
  readonly tenantId?: string
  /** Whether the user will be asked while the session goes on. Otherwise the next login carries a challenge to Entra. */
  readonly asksInSession?: () => Promise<boolean>
}

/** Entra wants something of the user that an interaction in the session can give it, and a login in most cases. */
export class ChallengeError extends OAuthError {
  constructor(
    code: 'insufficient_claims' | 'invalid_token' | 'access_denied',
    description: string,
    readonly challenge: Challenge,
    /** What was wanted downstream: it tells challenges apart, for Entra may word the same one in many ways. */
    readonly wanted: string,
    cause?: EntraError,
  ) {
    super(code, description, { cause })
  }
}

/** What exchanging needs. Without `exchanges` (no credential) it cannot be done. */
export interface DownstreamExchangeOptions {
  readonly exchanges: OnBehalfOf | undefined
  readonly tokens:
    | { readonly challenges: Challenges; readonly grants: Pick<Grants, 'read'> }
    | undefined
  /** Tokens of ours: what has ended is no longer exchanged, however long the call has been running. */
  readonly own: LiveTokens | undefined
  /** Without it an assertion that has expired is not renewed. */
  readonly renewAssertion: RenewAssertion | undefined
  /** In direct mode only: there the client asks the user, and a 401 tells it to. */
  readonly prompts: PromptLimit | undefined
  readonly authority: EntraAuthority
  readonly clientId: string
  /** The agent identity as which tokens are exchanged, with `agentCredential`. */
  readonly agent?: string | undefined
  readonly report: Report
  readonly now: Clock
}

/** Exchanges a verified token. @param facts about the call, for the operator @throws OAuthError */
export type Exchange = (
  verified: VerifiedToken,
  request: ExchangeRequest,
  facts: EventFacts,
) => Promise<DownstreamAccessToken>

/** What the events of an exchange name. */
const endpoint = 'on-behalf-of'

/** @see https://learn.microsoft.com/entra/identity-platform/v2-oauth2-on-behalf-of-flow */
export function downstreamExchange(options: DownstreamExchangeOptions): Exchange {
  const { exchanges, prompts, report, now } = options
  return async (verified, request, facts) => {
    if (!exchanges) throw new TypeError('downstream tokens need a `credential` in entraAuth')
    const { account: user } = verified
    if (!user) throw appOnly()
    const signedIn = isSignedIn(verified) ? verified : await readAgain(options, verified)
    if (!signedIn) throw vouchedForElsewhere(request)
    const startedAt = now()
    const begun = prompts?.begin() ?? 0
    const attempt = { options, exchanges, user, verified: signedIn, request, facts, begun }
    try {
      const token = await exchangeAgainIfRenewed(attempt)
      await checkNotEnded(options, verified)
      return token
    } catch (error) {
      if (!(error instanceof EntraError)) throw error
      const ours = error.kind === 'misconfigured' || error.kind === 'unavailable'
      const milliseconds = now() - startedAt
      const event = { endpoint, milliseconds, ...upstreamDetail(error) }
      report(ours ? 'failure' : 'exchange', event, facts)
      throw await clientError(attempt, error)
    }
  }
}

/** Reports exchanges that succeed, and failures that nobody waits for. {@link downstreamExchange} reports the others. */
export function exchangeReporter(report: Report) {
  return ({ error, trace, facts, ...result }: ExchangeResult): void => {
    if (!error) return report('exchange', { endpoint, ...result }, { ...facts, trace })
    if (!result.background) return
    const event = { endpoint, ...result, ...upstreamDetail(error) }
    report(error.kind === 'misconfigured' ? 'failure' : 'exchange', event, facts)
  }
}

/** One wish of one caller. */
interface ExchangeCall {
  readonly options: DownstreamExchangeOptions
  verified: SignedInToken
  readonly request: ExchangeRequest
  readonly facts: EventFacts
  /** Its place among all calls, in direct mode. */
  readonly begun: number
}

interface ExchangeAttempt extends ExchangeCall {
  readonly exchanges: OnBehalfOf
  readonly user: User
}

/** A token with an assertion, which is exchanged. */
type SignedInToken = VerifiedToken & { readonly assertion: EntraAssertion }

function isSignedIn(verified: VerifiedToken): verified is SignedInToken {
  return verified.assertion !== undefined
}

/**
 * An interaction may have renewed the grant since the gate looked at it, on any replica. So a grant that meets a challenge
 * is looked at again: the same tool call, repeated, has to work at once.
 */
async function exchangeAgainIfRenewed(attempt: ExchangeAttempt): Promise<DownstreamAccessToken> {
  try {
    return await exchange(attempt)
  } catch (error) {
    // A store that is away changes nothing about what Entra has answered.
    const again = () => readAgain(attempt.options, attempt.verified).catch(() => undefined)
    const renewed = isChallenge(error) ? await again() : undefined
    if (!renewed) throw error
    attempt.verified = renewed
    return exchange(attempt)
  }
}

/** After the exchange, so that what ends while Entra is being asked counts, too. @throws OAuthError `invalid_token`, 503 */
async function checkNotEnded(
  { own }: DownstreamExchangeOptions,
  verified: VerifiedToken,
): Promise<void> {
  if (!own || !isOwn(verified) || (await grantBehind(own, verified))) return
  const { scopes } = verified
  throw new OAuthError('invalid_token', 'The access token has been revoked.', { scopes })
}

function isChallenge(error: unknown): boolean {
  return (
    error instanceof EntraError &&
    (error.kind === 'interaction_required' || error.kind === 'consent_required')
  )
}

/** The token with its grant as it is now; undefined when that has no other assertion. @throws OAuthError 503 */
async function readAgain(
  { tokens }: DownstreamExchangeOptions,
  verified: VerifiedToken,
): Promise<SignedInToken | undefined> {
  const { sid, assertion } = verified
  if (!tokens || sid === undefined) return undefined
  const grant = (await tokens.grants.read(sid))?.value
  const again = grant && { ...verified, ...fromGrant(grant) }
  if (!again || !isSignedIn(again)) return undefined
  const isSame = assertion && constantTimeEqual(again.assertion.token, assertion.token)
  return isSame ? undefined : again
}

/** Tries the assertion at hand, and once more with a new one when that has expired. @throws EntraError */
async function exchange(attempt: ExchangeAttempt): Promise<DownstreamAccessToken> {
  const { options, exchanges, user, verified, request, facts: about } = attempt
  const { renewAssertion, report, now } = options
  const { oid, tid } = user
  const { scopes, claims, tenantId = tid } = request
  const wanted = { oid, tid: tenantId, scopes, claims, facts: about }
  const { sid: login, assertion } = verified
  const facts = assertion.facts()
  const assertionExpiresAt = facts.expiresAt
  try {
    return await exchanges.token({
      ...wanted,
      login,
      assertion: assertion.token,
      assertionHash: facts.hash,
      assertionExpiresAt,
    })
  } catch (error) {
    const expired = isExpired(error) || assertionExpiresAt * 1000 <= now()
    const fresh = expired ? await renewAssertion?.(verified) : undefined
    if (!fresh) throw error
    report('exchange', { endpoint, reason: 'assertion_renewed' }, about)
    const { accessToken, expiresAt } = fresh
    return exchanges.token({
      ...wanted,
      login,
      assertion: accessToken,
      assertionExpiresAt: expiresAt,
    })
  }
}

/** AADSTS500133: the assertion is outside its valid time range. Our clock need not be Entra's. */
function isExpired(error: unknown): boolean {
  return error instanceof EntraError && error.codes.includes(500133)
}

function appOnly(): OAuthError {
  return new OAuthError(
    'access_denied',
    'An app calls on its own behalf: there is no user to exchange a token for.',
  )
}

/**
 * Nothing in the store leads from here to a login that the user may have elsewhere: a grant is opened by the secret in
 * its own tokens alone. But the user can be asked to sign in for this one.
 */
function vouchedForElsewhere(request: ExchangeRequest): ChallengeError {
  return new ChallengeError(
    'access_denied',
    'The user came in on the word of another identity provider: there is no Microsoft Entra sign-in to exchange a token for. Sign in to this server in the browser for what needs one.',
    { signIn: true },
    wantedBy(request),
  )
}

async function clientError(call: ExchangeCall, error: EntraError): Promise<OAuthError> {
  const { verified, request } = call
  const cause = { cause: error }
  switch (error.kind) {
    case 'interaction_required': {
      const challenge = error.claims === undefined ? {} : { claims: error.claims }
      if (await raiseChallenge(call, error, challenge)) {
        return new ChallengeError(
          'insufficient_claims',
          'Microsoft Entra wants the user to sign in again, with more proof.',
          challenge,
          wantedBy(request),
          error,
        )
      }
      return new OAuthError(
        'access_denied',
        'Microsoft Entra does not let the user through.',
        cause,
      )
    }
    case 'consent_required':
      return consentError(call, error)
    case 'invalid_grant':
    case 'invalid_assertion': {
      const description = 'Microsoft Entra no longer accepts the login. Sign in again.'
      const canHelp = verified.grant !== undefined || mayPrompt(call, error)
      return new OAuthError(canHelp ? 'invalid_token' : 'access_denied', description, cause)
    }
    case 'access_denied':
    case 'app_only':
      return new OAuthError(
        'access_denied',
        'Microsoft Entra does not allow this on behalf of the caller.',
        cause,
      )
    default:
      return new OAuthError(
        'temporarily_unavailable',
        'The downstream token cannot be had right now. Try again shortly.',
        { ...cause, retryAfter: error.retryAfter ?? 5 },
      )
  }
}

/** A 401 makes clients ask their users, a 403 does not. No sign-in of a user brings an agent a consent. */
async function consentError(call: ExchangeCall, error: EntraError): Promise<OAuthError> {
  const { options, verified, request } = call
  const hint = consentHint(call)
  const challenge = { scopes: request.scopes }
  const canAsk = verified.grant !== undefined || (options.prompts && options.agent === undefined)
  if (!canAsk || !(await raiseChallenge(call, error, challenge))) {
    return new OAuthError('access_denied', hint, { cause: error })
  }
  return verified.grant
    ? new ChallengeError(
        'invalid_token',
        'Consent is needed. Sign in again to give it.',
        challenge,
        wantedBy(request),
        error,
      )
    : new OAuthError('invalid_token', hint, { cause: error })
}

/**
 * Remembers a challenge for the user's next login.
 *
 * @returns false when it has just been answered, without success; in direct mode, when the user has been asked often enough
 */
async function raiseChallenge(
  call: ExchangeCall,
  refusal: EntraError,
  challenge: Challenge,
): Promise<boolean> {
  const { options, verified, request, facts } = call
  const { tokens, report, now } = options
  const { grant, sid } = verified
  if (!grant || sid === undefined || !tokens) return mayPrompt(call, refusal)
  const answered = answeredOf(grant, now() / 1000)
  if (!mayBeRaised(challenge, answered)) return false
  if (await request.asksInSession?.()) return true
  try {
    const user = challengedUser(grant)
    const raisedBy = sha256(sid)
    const pending = await tokens.challenges.read(user)
    if (pending?.refused && challengeId(pending) === challengeId(challenge)) return false
    // One challenge at a time: the login that may be under way carries the first.
    if (pending && !pending.refused && pending.raisedBy === raisedBy) return true
    await tokens.challenges.remember(user, { ...challenge, raisedBy, after: answered })
  } catch (error) {
    // The next exchange brings the challenge anew.
    report('failure', { endpoint, reason: 'challenge_not_recorded', error }, facts)
  }
  return true
}

function mayPrompt(
  { options, verified, request: { scopes }, begun }: ExchangeCall,
  refusal: EntraError,
): boolean {
  const { account: user, clientId } = verified
  if (!user || !options.prompts) return true
  return options.prompts.mayPrompt({ user, clientId, scopes, refusal }, begun)
}

/** @see https://learn.microsoft.com/entra/identity-platform/v2-admin-consent */
function consentHint({ options, verified, request }: ExchangeCall): string {
  const { authority, clientId, agent } = options
  const tenant = `${authority.host}/${verified.account?.tid}`
  return agent === undefined
    ? `Nobody has consented to this server using the downstream API. An administrator can: ${tenant}/adminconsent?client_id=${clientId}`
    : `Nobody has consented to this agent using the downstream API. An administrator can: ${agentConsentUrl(tenant, agent, request.scopes)}`
}
