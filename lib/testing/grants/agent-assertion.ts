/** The assertion that a blueprint gets for one of its agents: the agent's own proof at the token endpoint. */
import { agentSubject } from '../agent-assertion.js'
import { issuerOf, servicePrincipalId, tokenTimes } from '../claims.js'
import { type EntraApp, exchangeId } from '../directory.js'
import type { Emulation } from '../emulation.js'
import { refuse } from '../errors.js'
import { issue } from '../mint.js'
import type { ResourceScopes } from '../scopes.js'
import { audienceOf } from '../token-answer.js'
import type { TokenRequest } from './grant.js'

/**
 * Issues it to the blueprint of the agent that `fmi_path` names. Microsoft's pages do not agree on its audience: here it is
 * the resource that was asked for, and what counts is the blueprint in `azp` and the agent in `sub`.
 *
 * @see https://learn.microsoft.com/entra/agent-id/agent-on-behalf-of-oauth-flow
 * @see https://github.com/MicrosoftDocs/entra-docs/pull/2036
 */
export function issueAgentAssertion(
  emulation: Emulation,
  { client, params }: TokenRequest,
  resource: ResourceScopes,
  tid: string,
): string {
  const { fmi_path: path = '' } = params
  const agent = emulation.directory.app(path)
  if (agent?.blueprint !== client.app.clientId) {
    refuse(700016, `The agent identity '${path}' was not found below '${client.app.clientId}'.`)
  }
  if (resource.app.clientId !== exchangeId) {
    refuse(1002012, 'With fmi_path, the scope must be api://AzureADTokenExchange/.default.')
  }
  return issue(
    emulation,
    {},
    {
      ...tokenTimes(emulation, {}),
      aud: audienceOf(resource),
      iss: issuerOf(emulation, tid, 2),
      azp: client.app.clientId,
      idtyp: 'app',
      oid: servicePrincipalId(client.app, tid),
      sub: agentSubject(agent as EntraApp, tid),
      tid,
      ver: '2.0',
    },
  )
}
