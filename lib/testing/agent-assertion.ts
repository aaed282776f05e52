/** The proof of an agent: an assertion that its blueprint got for it. */
import type { Authority } from './authority.js'
import { issuerOf } from './claims.js'
import { type EntraApp, exchangeId } from './directory.js'
import type { Emulation } from './emulation.js'
import { refuse } from './errors.js'
import { hasValidSignature, type JsonObject, type ReadJwt } from './jwt.js'

/** Checks the assertion that an agent sends as its proof. Each fault has the error of a federated credential. */
export function checkAgentAssertion(
  emulation: Emulation,
  authority: Authority,
  agent: EntraApp,
  jwt: ReadJwt,
): void {
  const { iss, azp, sub, aud, tid, idtyp } = jwt.claims
  const none = 'No matching federated identity record found for presented assertion'
  const home = authority.kind === 'tenant' ? authority.id : agent.tenantId
  if (iss !== issuerOf(emulation, home, 2)) refuse(700211, `${none} issuer '${iss}'.`)
  if (!hasValidSignature(jwt, emulation.keys.published)) {
    refuse(700027, 'Client assertion failed signature validation.')
  }
  const isForAgent = azp === agent.blueprint && sub === agentSubject(agent, String(tid))
  if (!isForAgent) refuse(700213, `${none} subject '${sub}'.`)
  if (idtyp !== 'app' || !isExchange(emulation, aud)) refuse(700212, `${none} audience '${aud}'.`)
}

function isExchange({ directory }: Emulation, aud: JsonObject[string]): boolean {
  return typeof aud === 'string' && directory.resource(aud)?.clientId === exchangeId
}

/** The subject of an agent's assertion: the agent, below its blueprint. */
export function agentSubject({ clientId, blueprint }: EntraApp, tid: string): string {
  return `/eid1/c/pub/t/${tid}/a/${blueprint}/${clientId}`
}
