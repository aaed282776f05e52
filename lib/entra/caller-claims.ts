/**
 * Who is behind a token: a person, an agent or an app. Agents of Microsoft Entra Agent ID get tokens of three kinds, and
 * two of them look like a person's unless one reads the facets of subject and actor.
 *
 * @see https://learn.microsoft.com/entra/agent-id/agent-token-claims
 */

/**
 * `user`: a person, through an ordinary client. `agent-for-user`: a person, through an agent that acts on their behalf.
 * `agent`: an agent on its own. `agent-user`: the user account that an agent has, with nobody behind it. `app`: an app on
 * its own that is no agent.
 */
export type CallerKind = 'user' | 'agent-for-user' | 'agent' | 'agent-user' | 'app'

export const callerKinds: readonly CallerKind[] = Object.freeze([
  'user',
  'agent-for-user',
  'agent',
  'agent-user',
  'app',
])

/** An agent identity. */
export interface Agent {
  /** Application id of the agent identity. */
  readonly id: string
  /**
   * Application id of the blueprint it was made from. For logs: a blueprint has many agents, so do not authorize by it.
   * Absent when the token does not say.
   */
  readonly blueprint?: string
}

/** Who calls. */
export interface Caller {
  readonly kind: CallerKind
  /** Tenant id. */
  readonly tid: string
  /** Object id of the user, the agent's user account, or the service principal of the agent or app. */
  readonly oid: string
  /** App roles of that user, account, agent or app. */
  readonly roles: readonly string[]
  /** The agent, where one acts. */
  readonly agent?: Agent
}

type Claims = Readonly<Record<string, unknown>>

/** Facets of a subject or an actor: those that say something about agents. */
const agentIdentity = 11
const agentUser = 13

type CallerClaims = Claims & {
  readonly tid: string
  readonly oid: string
  readonly azp?: string
  readonly roles?: readonly string[]
}

/** Reads who calls. @param claims of a verified access token */
export function callerFromClaims(claims: CallerClaims): Caller {
  return describe(claims, kindOf(claims))
}

/** Reads who calls, where a login has seen to it that it is a person. @param claims of that login */
export function personFromClaims(claims: CallerClaims): Caller {
  return describe(claims, actsAsAgent(claims) ? 'agent-for-user' : 'user')
}

function describe(claims: CallerClaims, kind: CallerKind): Caller {
  const { tid, oid, azp, roles = [], xms_par_app_azp: blueprint } = claims
  const caller = { kind, tid, oid, roles }
  if (kind === 'user' || kind === 'app') return caller
  const agent = { id: azp ?? '', ...(typeof blueprint === 'string' && { blueprint }) }
  return { ...caller, agent }
}

function kindOf(claims: Claims): CallerKind {
  const isAgent = actsAsAgent(claims)
  if (isAppOnly(claims)) return isAgent ? 'agent' : 'app'
  if (facetsOf(claims.xms_sub_fct).includes(agentUser)) return 'agent-user'
  return isAgent ? 'agent-for-user' : 'user'
}

/** Microsoft names two marks, and says of neither that it is always there: either will do. */
function actsAsAgent({ xms_act_fct, xms_sub_fct, xms_par_app_azp }: Claims): boolean {
  const facets = [...facetsOf(xms_act_fct), ...facetsOf(xms_sub_fct)]
  return facets.includes(agentIdentity) || xms_par_app_azp !== undefined
}

/**
 * Whether the token is an application's own, with no user behind it.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
 */
export function isAppOnly(claims: Claims): boolean {
  const { idtyp, scp, roles, oid, sub, nonce } = claims
  if (idtyp !== undefined) return idtyp === 'app'
  if (facetsOf(claims.xms_sub_fct).includes(agentIdentity)) return true
  // `idtyp` is an optional claim. An application's token without it looks like this.
  return (
    isUnscoped(scp) &&
    nonce === undefined &&
    Array.isArray(roles) &&
    typeof oid === 'string' &&
    oid === sub
  )
}

/** Whether `scp` grants nothing: agents' own tokens have an empty one, or `/`. */
export function isUnscoped(scp: unknown): boolean {
  return scp === undefined || (typeof scp === 'string' && /^\s*\/?\s*$/.test(scp))
}

/** Whether the facets are written as Microsoft writes them. What else they might be, nobody should guess. */
export function hasReadableFacets({ xms_act_fct, xms_sub_fct }: Claims): boolean {
  return [xms_act_fct, xms_sub_fct].every(
    (claim) => claim === undefined || (typeof claim === 'string' && /^[\d\s]*$/.test(claim)),
  )
}

/** Types of subjects that Entra names. */
const subjectTypes: readonly unknown[] = [undefined, 'user', 'app']

/** Whether `idtyp` is none we know, or says another thing than the facets of the subject: then nobody knows who calls. */
export function contradictsItself({ idtyp, xms_sub_fct }: Claims): boolean {
  if (!subjectTypes.includes(idtyp)) return true
  const facets = facetsOf(xms_sub_fct)
  const isAgentItself = facets.includes(agentIdentity)
  const isAccount = facets.includes(agentUser)
  if (isAgentItself && isAccount) return true
  return idtyp === 'app' ? isAccount : isAgentItself && idtyp !== undefined
}

/** Numbers in no order, most of which mean nothing to us. */
function facetsOf(claim: unknown): readonly number[] {
  return typeof claim === 'string' ? claim.split(/\s+/).map(Number) : []
}
