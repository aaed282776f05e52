/** Getting the proof of the app for a request, and another one when Entra finds the first outdated. */
import { type Deadline, withinDeadline } from '../async/deadline.js'
import type { EntraAuthority } from './authority.js'
import { causeText } from './cause-text.js'
import type { ClientCredential, ClientProof } from './credentials.js'
import { EntraError, UpstreamOutage } from './errors.js'

/** Whom the proof is for, and until when it has to be there. */
export interface ProofRequest {
  readonly authority: Pick<EntraAuthority, 'tokenEndpoint' | 'exchangeAudience'>
  readonly clientId: string
  readonly credential: ClientCredential
  readonly tenant: string
  readonly deadline: Deadline
  /** Seconds from the start to the deadline. */
  readonly timeout: number
}

/** AADSTS700024: the assertion is outdated, so Entra has looked at nothing else of the request. */
const outdatedAssertion = 700024

/**
 * Sends a request with a proof. When Entra finds the assertion outdated, sends it once more with another one.
 *
 * @throws EntraError when the credential fails, or whatever `send` throws
 */
export async function sendWithProof<T>(
  request: ProofRequest,
  send: (proof: ClientProof) => Promise<T>,
): Promise<T> {
  const proof = await getProof(request)
  try {
    return await send(proof)
  } catch (error) {
    if (!('assertion' in proof && isOutdated(error))) throw error
    const next = await getProof(request, proof.assertion)
    if (!('assertion' in next) || next.assertion === proof.assertion) throw error
    return send(next)
  }
}

function isOutdated(error: unknown): boolean {
  return error instanceof EntraError && error.codes.includes(outdatedAssertion)
}

async function getProof(
  { credential, clientId, authority, tenant, deadline, timeout }: ProofRequest,
  rejected?: string,
): Promise<ClientProof> {
  const context = {
    clientId,
    tokenEndpoint: authority.tokenEndpoint(tenant),
    exchangeAudience: authority.exchangeAudience,
    ...(rejected !== undefined && { rejected }),
  }
  const late = () => new UpstreamOutage(`no client credential within ${timeout} s`)
  try {
    return await withinDeadline(deadline.secondsLeft(), late, async () => credential(context))
  } catch (cause) {
    if (cause instanceof EntraError) throw cause
    throw new UpstreamOutage(`the client credential failed: ${causeText(cause)}`, {
      cause,
      hint: 'The function given as `credential` failed.',
    })
  }
}
