/** An agent identity as the app's credential: what this server asks of other APIs, it asks as the agent. */
import { randomUUID } from 'node:crypto'
import type { Clock } from '../async/clock.js'
import { deadlineIn } from '../async/deadline.js'
import { cachedAssertion } from './assertion-cache.js'
import { isGuid } from './authority.js'
import { sendWithProof } from './client-proof.js'
import {
  type ClientCredential,
  type ClientProof,
  type CredentialContext,
  checkCredential,
} from './credentials.js'
import { EntraError } from './errors.js'
import { fetchUpstream } from './http-client.js'
import { readProof, readTokens, type UpstreamTokens } from './token-request.js'

/** Options of {@link agentCredential}. */
export interface AgentCredentialOptions {
  /** How the blueprint proves who it is: any credential but this one. A managed identity needs no secret. */
  readonly blueprint: ClientCredential
  /** Application (client) id of the agent identity, which was made from that blueprint. */
  readonly agent: string
}

/** Seconds for one request. The token endpoint that waits for it has a deadline of its own. */
const timeout = 10

/**
 * Acts as an agent identity of Microsoft Entra Agent ID. `clientId` of `entraAuth` is the blueprint, which callers'
 * tokens are for; tokens for other APIs are exchanged as the agent: the blueprint's own proof brings an assertion for
 * the agent (client credentials with `fmi_path`), and that is the agent's proof in the on-behalf-of request. So what the
 * agent was granted counts downstream, and Entra's logs name it.
 *
 * Neither blueprints nor agents can sign users in (AADSTS82014): clients get their tokens from Entra (`mode: 'direct'`).
 *
 * @throws TypeError when `blueprint` is no credential or another agent's, or `agent` no GUID
 * @see https://learn.microsoft.com/entra/agent-id/agent-on-behalf-of-oauth-flow
 * @example
 * entraAuth({
 *   mode: 'direct', clientId: blueprintId,
 *   credential: agentCredential({ blueprint: managedIdentity(), agent: agentId }), ...
 * })
 */
export function agentCredential(
  { blueprint, agent: given }: AgentCredentialOptions,
  { now = Date.now }: { readonly now?: Clock } = {},
): ClientCredential {
  checkCredential(blueprint)
  if (agentOf(blueprint) !== undefined) {
    throw new TypeError(
      'agentCredential: blueprint is an agentCredential itself: give the credential of the blueprint, such as managedIdentity()',
    )
  }
  if (!isGuid(given)) {
    throw new TypeError(
      'agentCredential: agent must be the Application (client) ID of the agent identity: a GUID',
    )
  }
  // `fmi_path` is a path, and Entra writes ids in lower case.
  const agent = given.toLowerCase()
  const credential = cachedAssertion(
    async (context) => {
      const askedAt = now()
      const { accessToken, expiresIn } = await requestAssertion(blueprint, agent, context).catch(
        (error: unknown) => {
          throw asOwnFault(error)
        },
      )
      return { assertion: accessToken, expiresAt: askedAt + expiresIn * 1000 }
    },
    { now },
  )
  const agentIdentityCredential: ClientCredential = async (context) => ({
    ...(await credential(context)),
    clientId: agent,
  })
  agents.set(agentIdentityCredential, agent)
  return agentIdentityCredential
}

const agents = new WeakMap<object, string>()

/** The agent that a credential acts as, when {@link agentCredential} made it. */
export function agentOf(credential: ClientCredential | undefined): string | undefined {
  return credential && agents.get(credential)
}

/**
 * MSAL for Node.js has a name for `fmi_path` in its types, and it was seen not to send it: so this form is ours.
 *
 * @throws EntraError
 */
async function requestAssertion(
  blueprint: ClientCredential,
  agent: string,
  { clientId, tokenEndpoint, exchangeAudience }: CredentialContext,
): Promise<UpstreamTokens> {
  const authority = { tokenEndpoint: () => tokenEndpoint, exchangeAudience }
  const deadline = deadlineIn(timeout)
  const request = { authority, clientId, credential: blueprint, tenant: '', deadline, timeout }
  return sendWithProof(request, async (proof) => {
    const correlationId = randomUUID()
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      scope: `${exchangeAudience}/.default`,
      fmi_path: agent,
      ...proofParams(proof),
    })
    const answer = await fetchUpstream(tokenEndpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-www-form-urlencoded',
        'client-request-id': correlationId,
      },
      body: body.toString(),
      timeout: deadline.secondsLeft(),
    })
    return readTokens(answer, correlationId)
  })
}

/** Nobody has signed in for this request, so nothing that Entra refuses here can be mended by a user. */
function asOwnFault(error: unknown): unknown {
  if (!(error instanceof EntraError) || ['unavailable', 'misconfigured'].includes(error.kind)) {
    return error
  }
  const { message, codes, error: code, suberror, status, correlationId, traceId } = error
  return new EntraError('misconfigured', message, {
    codes,
    error: code,
    suberror,
    status,
    correlationId,
    traceId,
    hint: 'Entra gives the blueprint no assertion for its agent. In Entra admin center > Agent ID, see whether one of the two is disabled, and look for Conditional Access policies for agents and workload identities.',
    cause: error,
  })
}

/** @see RFC 7523 section 2.2 */
function proofParams(proof: ClientProof): Record<string, string> {
  const { kind, value } = readProof(proof)
  if (kind === 'secret') return { client_secret: value }
  return {
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: value,
  }
}
