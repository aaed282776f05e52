/** The agent identity as which a server acts (Microsoft Entra Agent ID): whether the app is its blueprint. */
import { isGuid } from '../../entra/authority.js'
import { agentCredential } from '../../entra/credential-agent.js'
import type { ClientCredential } from '../../entra/credentials.js'
import { EntraError } from '../../entra/errors.js'
import type { App } from './check-registration.js'
import { type Finding, failure, ok } from './finding.js'

/** It asks Entra for what every exchange begins with: an assertion for the agent. @param agent `AGENT_ID` */
export async function checkAgent(
  { authority, clientId }: App,
  credential: ClientCredential,
  agent: string,
): Promise<Finding> {
  const remedy =
    'AGENT_ID is the Application (client) ID of an agent identity that was made from the blueprint AZURE_CLIENT_ID'
  if (!isGuid(agent)) return failure('agent', 'AGENT_ID is not a GUID', remedy)
  const { exchangeAudience, tenantId } = authority
  const tokenEndpoint = authority.tokenEndpoint(tenantId)
  try {
    await agentCredential({ blueprint: credential, agent })({
      clientId,
      tokenEndpoint,
      exchangeAudience,
    })
    return ok('agent', `Entra gives the app assertions for ${agent}, so it is its blueprint`)
  } catch (error) {
    if (!(error instanceof EntraError)) throw error
    const isUnknown = error.codes.includes(notBelow)
    const says = isUnknown ? `the app has no agent ${agent} (AADSTS${notBelow})` : error.message
    return failure('agent', says, isUnknown ? remedy : (error.hint ?? remedy))
  }
}

/** There is no such agent below this blueprint. */
const notBelow = 700016
