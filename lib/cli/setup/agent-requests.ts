/** What registers agents of Microsoft Entra Agent ID: a blueprint with its agent, and app roles for agents that call. */
import { clouds } from '../../entra/clouds.js'
import {
  agentPlaceholders,
  type GraphRequest,
  keyCredentials,
  placeholders,
} from './graph-objects.js'
import type { Plan } from './plan.js'

const { servicePrincipalId, agentPrincipalId, sponsorId } = agentPlaceholders
const app = `/applications(appId='${placeholders.appId}')`

/**
 * The blueprint. What Microsoft's page does not send when it makes one follows in a request of its own.
 *
 * @see https://learn.microsoft.com/entra/agent-id/create-blueprint
 */
export function blueprintObject(plan: Plan): readonly GraphRequest[] {
  const certificates = keyCredentials(plan)
  return [
    {
      why: `The blueprint. ${sponsorId} is the object id of the user who answers for it. Its answer has the appId that the others need.`,
      method: 'POST',
      path: '/applications',
      body: {
        '@odata.type': 'Microsoft.Graph.AgentIdentityBlueprint',
        displayName: plan.name,
        'sponsors@odata.bind': [sponsorUrl(plan)],
      },
      fills: false,
    },
    {
      why: 'Tokens of version 2, before the Application ID URIs.',
      method: 'PATCH',
      path: app,
      body: {
        api: { requestedAccessTokenVersion: 2 },
        ...(certificates.length > 0 && { keyCredentials: certificates }),
      },
      fills: false,
    },
  ]
}

/** @see https://learn.microsoft.com/graph/api/agentidentityblueprintprincipal-post */
export const blueprintPrincipal: GraphRequest = {
  why: 'The principal of the blueprint in this tenant: it is not made by itself.',
  method: 'POST',
  path: '/servicePrincipals/microsoft.graph.agentIdentityBlueprintPrincipal',
  body: { appId: placeholders.appId },
  fills: true,
}

/** @see https://learn.microsoft.com/graph/api/agentidentity-post */
export function makeAgent(plan: Plan): GraphRequest {
  return {
    why: 'The agent identity. Its answer has the id for agentCredential({ agent }), and AGENT_ID.',
    method: 'POST',
    path: '/servicePrincipals/microsoft.graph.agentIdentity',
    body: {
      displayName: plan.name,
      agentIdentityBlueprintId: placeholders.appId,
      'sponsors@odata.bind': [sponsorUrl(plan)],
    },
    fills: false,
  }
}

/**
 * All app roles, to each agent that calls on its own. The two object ids are in the answers to the requests before.
 *
 * @see https://learn.microsoft.com/graph/api/serviceprincipal-post-approleassignedto
 */
export function roleAssignments({ agents, roles }: Plan): readonly GraphRequest[] {
  if (agents.length === 0) return []
  const own: GraphRequest = {
    why: `The service principal of this app: its id is ${servicePrincipalId}.`,
    method: 'GET',
    path: `/servicePrincipals(appId='${placeholders.appId}')`,
    fills: true,
  }
  return [own, ...agents.flatMap((agent) => [findPrincipal(agent), ...roles.map(assignRole)])]
}

function findPrincipal(agent: string): GraphRequest {
  return {
    why: `The service principal of the agent ${agent}: its id is ${agentPrincipalId} of the next requests.`,
    method: 'GET',
    path: `/servicePrincipals(appId='${agent}')`,
    fills: false,
  }
}

function assignRole({ id, value }: Plan['roles'][number]): GraphRequest {
  return {
    why: `The app role ${value}, for that agent.`,
    method: 'POST',
    path: `/servicePrincipals/${servicePrincipalId}/appRoleAssignedTo`,
    body: {
      principalId: agentPrincipalId,
      resourceId: servicePrincipalId,
      appRoleId: id,
    },
    fills: true,
  }
}

function sponsorUrl({ cloud }: Plan): string {
  return `${clouds[cloud].graph}/v1.0/users/${sponsorId}`
}
