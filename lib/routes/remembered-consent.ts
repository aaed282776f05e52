/** Remembered consent: what a user has allowed a client before, and what becomes of it at each login. */
import { sha256 } from '../crypto/hashing.js'
import type { Browser } from '../http/browser.js'
import type { EventFacts } from '../http/event-facts.js'
import { isUserNavigation } from '../http/fetch-metadata.js'
import type { SignedInUser } from '../login/browser-sessions.js'
import { documentHostOf } from '../oauth/client-id-url.js'
import { redirectOrigin, staysOnDevice } from '../oauth/redirect-uri.js'
import type { UserId } from '../tokens/connected-apps.js'
import {
  type AskedAccess,
  findNewAccess,
  isNothingNew,
  type NewAccess,
} from '../tokens/consents.js'
import type { User } from '../tokens/records.js'
import type { AuthorizationRequest } from './authorization-request.js'
import type { ProxyContext } from './context.js'
import type { RequestingClient } from './requesting-client.js'
import {
  type CarriedRequest,
  type ClientRequest,
  loginFacts,
  loginFits,
  type RememberedConsent,
} from './upstream-login.js'

type MemoryContext = Pick<ProxyContext, 'account' | 'consentPolicy'>
type RecallContext = MemoryContext & Pick<ProxyContext, 'consents' | 'scopes' | 'report'>

/** The user of a browser, and what of a request they have not allowed this client before. */
export interface Recalled {
  readonly user: SignedInUser
  /** Undefined when they have allowed it nothing at all. */
  readonly newAccess: NewAccess | undefined
}

/**
 * Whether a client's consents are remembered: somebody has to vouch for its name, and the sign-in has to go to a host,
 * because any program on the user's device could ask under the name of another.
 */
export function keepsConsent(
  { account, consentPolicy }: MemoryContext,
  { client, redirectUri }: RequestingClient,
): boolean {
  if (!consentPolicy.remember || !account.sessions) return false
  return consentPolicy.unverified || (client.identity !== undefined && !staysOnDevice(redirectUri))
}

/**
 * Finds who uses this browser, and what they have allowed the client.
 *
 * @returns undefined when nobody is signed in, and when this client's consents are not remembered
 */
export async function recallConsent(
  context: RecallContext,
  browser: Browser,
  requesting: RequestingClient,
  request: AuthorizationRequest,
): Promise<Recalled | undefined> {
  const { clientId } = request
  const asked = { ...request, client: sha256(clientId), host: documentHostOf(clientId) }
  const user = await orReport(context, 'session_not_read', loginFacts(asked), () =>
    findSignedInUser(context, browser, requesting),
  )
  return user && recallFor(context, user, asked)
}

/** Finds what a user has allowed the client: nothing, when the store does not answer. */
export async function recallFor(
  context: RecallContext,
  user: SignedInUser,
  request: ClientRequest,
): Promise<Recalled> {
  const facts = { ...loginFacts(request), user }
  const newAccess = await orReport(context, 'consent_not_read', facts, () =>
    readNewAccess(context, user, request),
  )
  return { user, newAccess }
}

/**
 * The login that needs no page: its user went here, and has allowed all of it before.
 *
 * @returns undefined when the page has to be shown
 */
export function loginWithoutPage(
  context: Parameters<typeof loginFits>[0],
  { req }: Browser,
  request: AuthorizationRequest,
  { user, newAccess }: Recalled,
): CarriedRequest | undefined {
  if (request.hints.prompt === 'consent' || !isNothingNew(newAccess)) return undefined
  if (!isUserNavigation(req.headers)) return undefined
  const { clientId } = request
  const remembered = { tid: user.tid, oid: user.oid, clientId }
  const client = { client: sha256(clientId), host: documentHostOf(clientId) }
  const login = { ...request, ...client, remembered }
  return loginFits(context, login) ? login : undefined
}

/**
 * Whether a login that began without the page may end with a code for the user who came back from Entra: only for the
 * user whose consent it began with, and only while that consent counts.
 *
 * @throws OAuthError 503
 */
export async function isStillAllowed(
  context: Pick<ProxyContext, 'consentPolicy' | 'consents' | 'scopes'>,
  request: ClientRequest,
  remembered: RememberedConsent,
  { tid, oid }: User,
): Promise<boolean> {
  if (!context.consentPolicy.remember) return false
  if (remembered.tid !== tid || remembered.oid !== oid) return false
  return isNothingNew(await readNewAccess(context, { tid, oid }, request))
}

/** Remembers what was approved in this login, for the user who signed in. A failure costs nobody the login. */
export async function rememberConsent(
  context: Pick<ProxyContext, 'consents' | 'scopes' | 'report'>,
  login: CarriedRequest,
  { tid, oid }: User,
  facts: EventFacts,
): Promise<void> {
  const { client, approvedAt } = login
  if (approvedAt === undefined) return
  const approval = { ...askedAccess(context, login), approvedAt }
  await orReport(context, 'consent_not_recorded', facts, () =>
    context.consents.record({ client, tid, oid }, approval),
  )
}

/** What a user has said no to. */
interface DeniedRequest {
  readonly requesting: RequestingClient
  /** Whom the page named. */
  readonly askedUser: UserId | undefined
  readonly facts: EventFacts
}

/**
 * Forgets what a user has allowed a client: they have just said no to it. Who that is, the page knows, or the session
 * that has begun since the page was shown.
 */
export async function forgetConsent(
  context: RecallContext,
  browser: Browser,
  { requesting, askedUser, facts }: DeniedRequest,
): Promise<void> {
  await orReport(context, 'consent_not_forgotten', facts, async () => {
    const user = askedUser ?? (await findSignedInUser(context, browser, requesting))
    if (!user) return
    const { tid, oid } = user
    await context.consents.forget({ client: sha256(requesting.client.id), tid, oid })
  })
}

/** @throws OAuthError 503 */
async function findSignedInUser(
  context: MemoryContext,
  browser: Browser,
  requesting: RequestingClient,
): Promise<SignedInUser | undefined> {
  if (!keepsConsent(context, requesting)) return undefined
  return (await context.account.sessions?.read(browser))?.user
}

async function readNewAccess(
  context: Pick<ProxyContext, 'consents' | 'scopes'>,
  { tid, oid }: UserId,
  request: ClientRequest,
): Promise<NewAccess | undefined> {
  const approvals = await context.consents.read({ client: request.client, tid, oid })
  return findNewAccess(approvals, askedAccess(context, request))
}

function askedAccess(
  { scopes }: Pick<ProxyContext, 'scopes'>,
  request: Pick<ClientRequest, 'redirectUri' | 'scopes'>,
): AskedAccess {
  return {
    origin: redirectOrigin(request.redirectUri),
    scopes: request.scopes,
    downstream: scopes.additional,
  }
}

/** A store that is away costs a user no more than a page that could have been spared. */
async function orReport<T>(
  { report }: Pick<ProxyContext, 'report'>,
  reason: string,
  facts: EventFacts,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    report('failure', { endpoint: 'remembered consent', reason, error }, facts)
    return undefined
  }
}
