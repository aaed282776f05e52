/**
 * `GET /auth/interaction`: a tool needs something of its user that only Entra can ask for (MFA, consent), and the user
 * has opened the URL that their client was given. Entra is asked twice: first only who this is, and for what is wanted
 * only when it is the user who met the challenge. So anybody else who has the URL learns nothing.
 */
import type { ServerResponse } from 'node:http'
import { randomReference } from '../crypto/reference.js'
import { combineScopes } from '../entra/scopes.js'
import type { Browser } from '../http/browser.js'
import { attribute, type EventFacts } from '../http/event-facts.js'
import { redirect, sendPage } from '../http/respond.js'
import type { SignedInUser } from '../login/browser-sessions.js'
import { concludeFailedLogin } from '../login/failed-login.js'
import { identifyUser } from '../login/identify-user.js'
import { isPolicyRefusal } from '../login/policy.js'
import { endRefusedGrant, type VerifiedRenewal, verifyRenewal } from '../login/upstream-grant.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, required, singleParams } from '../oauth/params.js'
import { interactionPage } from '../pages/interaction-page.js'
import { keepTrying } from '../storage/keep-trying.js'
import { answeredOf, challengeId } from '../tokens/challenges.js'
import { grantFacts } from '../tokens/event-subject.js'
import type { Interaction } from '../tokens/interactions.js'
import type { Grant } from '../tokens/records.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { redeemAnswer } from './entra-answer.js'
import { sendProblem } from './run-route.js'
import {
  beginTrip,
  challengeParams,
  type PendingInteraction,
  signInScopes,
} from './upstream-login.js'

/** An interaction that waits for its user, and the grant that it renews. */
interface OpenInteraction {
  readonly id: string
  readonly interaction: Interaction
  readonly grant: Grant
}

/** @see MCP, Elicitation, URL mode (SEP-1036): the server verifies that who opens the URL is who was asked */
export function interaction(context: ProxyContext) {
  return async function interactionEndpoint(
    { req, query }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const open = await readOpen(context, required(singleParams(query), 'id'))
    const browser = { req, res }
    const session = await context.account.sessions?.read(browser)
    const url =
      session && isFor(open, session.user)
        ? askEntra(context, browser, open, session.user)
        : identify(context, browser, open)
    redirect(res, 302, url)
  }
}

/** Asks Entra who this is, and tells it nothing. */
function identify(context: ProxyContext, browser: Browser, { id }: OpenInteraction): string {
  const purpose = { interaction: id, asked: false }
  return beginTrip(context, browser, purpose, { scope: signInScopes.join(' ') })
}

/** Asks Entra for what is wanted of this user. */
function askEntra(
  context: ProxyContext,
  browser: Browser,
  { id, interaction, grant }: OpenInteraction,
  { username }: SignedInUser,
): string {
  const own = context.scopes.toUpstreamAuthorize(grant.requested)
  return beginTrip(
    context,
    browser,
    { interaction: id, asked: true },
    {
      scope: combineScopes(own, interaction.scopes).join(' '),
      ...(username !== undefined && { login_hint: username }),
      ...challengeParams(interaction),
    },
  )
}

/** Goes on after a trip to Entra: to Entra once more, or to the last page. Errors are pages, too. */
export async function finishInteraction(
  context: ProxyContext,
  request: EndpointRequest,
  res: ServerResponse,
  params: Params,
  trip: PendingInteraction,
): Promise<void> {
  const browser = { req: request.req, res }
  const look = context.looks.forReader(request.req)
  const reference = randomReference()
  let known: EventFacts = { reference }
  try {
    const open = await readOpen(context, trip.interaction)
    known = { ...tripFacts(trip, open), reference }
    const answer = { params, trip, known }
    if (!trip.asked) return redirect(res, 302, await recognise(context, browser, answer, open))
    await renewGrant(context, answer, open)
  } catch (error) {
    const isReported = params.error !== undefined
    const refusal = concludeFailedLogin(context.report, error, known, isReported)
    return sendProblem(res, look, refusal, reference)
  }
  sendPage(res, 200, interactionPage(look))
}

/** What Entra has answered to a trip. */
interface TripAnswer {
  readonly params: Params
  readonly trip: PendingInteraction
  /** For the operator: of a failure. */
  readonly known: EventFacts
}

/** The login that the URL is for. Whether it is its user who has opened it shows only after the first trip. */
function tripFacts(
  { asked }: PendingInteraction,
  { interaction: { sid, clientId }, grant }: OpenInteraction,
): EventFacts {
  const { user, ...facts } = grantFacts(sid, grant, clientId)
  return asked ? { user, ...facts } : facts
}

/** @returns where Entra is asked for what is wanted @throws OAuthError when somebody else has signed in */
async function recognise(
  context: ProxyContext,
  browser: Browser,
  { params, trip, known: facts }: TripAnswer,
  open: OpenInteraction,
): Promise<string> {
  const tokens = await redeemAnswer(context, params, trip, { scopes: signInScopes, facts })
  const user = await identifyUser(context.verifier, tokens, trip.nonce)
  if (!isFor(open, user)) throw attribute(notOpen(), { user, trace: tokens.trace })
  return askEntra(context, browser, open, user)
}

/** The grant gets the tokens of the sign-in, if it is still there: ended in the meantime, it stays ended. */
async function renewGrant(
  context: ProxyContext,
  { params, trip, known }: TripAnswer,
  { id, interaction, grant }: OpenInteraction,
): Promise<void> {
  const { sid, clientId } = interaction
  const facts = grantFacts(sid, grant, clientId)
  const scopes = context.scopes.toUpstreamTokenExchange(grant.requested)
  const tokens = await redeemAnswer(context, params, trip, { scopes, facts: known })
  const renewal = await verifyRenewal(context, tokens, trip.nonce, grant)
  await renewal.checkPolicy().catch(async (thrown: unknown) => {
    const error = attribute(thrown, { ...facts, trace: tokens.trace })
    if (isPolicyRefusal(error)) await endRefusedGrant(context, { sid, grant, clientId }, error)
    throw error
  })
  if (!(await context.interactions.claim(id))) throw notOpen()
  await keepTrying(() => storeAnswer(context, id, interaction, renewal), context)
  if (grant.assertedBy !== undefined && context.account.keepsApps) {
    await context.connectedApps.noteSignIn(sid, grant)
  }
  context.report('login', { outcome: 'interaction' }, { ...facts, trace: tokens.trace })
}

/** Safe to repeat: the same tokens are put into whatever the grant is by then. */
async function storeAnswer(
  { grants, challenges, interactions, now }: ProxyContext,
  id: string,
  interaction: Interaction,
  renewal: VerifiedRenewal,
): Promise<void> {
  const { sid } = interaction
  const seconds = now() / 1000
  await grants.exclusively(sid, async () => {
    const current = (await grants.read(sid))?.value
    if (!current) throw notOpen()
    const answered = new Set([...answeredOf(current, seconds), challengeId(interaction)])
    const next = { ...renewal.putInto(current), answered: [...answered], answeredAt: seconds }
    if (!(await grants.keep(sid, next))) throw notOpen()
    await challenges.withdraw(next, sid)
  })
  // Not before: the calls that wait for this find the new tokens.
  await interactions.end(id)
}

/** @throws OAuthError when it has been finished or has expired, or when the login has ended */
async function readOpen(context: ProxyContext, id: string): Promise<OpenInteraction> {
  const interaction = await context.interactions.read(id)
  const grant = interaction && (await context.grants.read(interaction.sid))?.value
  if (!interaction || !grant) throw notOpen()
  return { id, interaction, grant }
}

function isFor({ interaction }: OpenInteraction, { tid, oid }: SignedInUser): boolean {
  return interaction.tid === tid && interaction.oid === oid
}

function notOpen(): OAuthError {
  return new OAuthError('access_denied', 'There is nothing to do here for this user.', {
    situation: 'interactionNotOpen',
  })
}
