/** The registration as requests to Microsoft Graph, in their order. */
import { UsageError } from '../usage-error.js'
import {
  blueprintObject,
  blueprintPrincipal,
  makeAgent,
  roleAssignments,
} from './agent-requests.js'
import {
  agentPlaceholders,
  appRoles,
  byApi,
  federatedCredential,
  type GraphRequest,
  keyCredentials,
  permissionScopes,
  placeholders,
  preAuthorizedApplications,
  signInAudience,
} from './graph-objects.js'
import type { Plan } from './plan.js'

/** The requests that all registrations have, and the first one answers with the app's id. */
export function graphRequests(plan: Plan): readonly GraphRequest[] {
  const app = `/applications(appId='${placeholders.appId}')`
  const federated = federatedCredential(plan, plan.tenantId ?? placeholders.tenantId)
  const preAuthorized = preAuthorizedApplications(plan)
  const requests: (GraphRequest | undefined)[] = [
    ...(plan.blueprint ? blueprintObject(plan) : [appObject(plan)]),
    {
      why: 'Its Application ID URIs.',
      method: 'PATCH',
      path: app,
      body: { identifierUris: [`api://${placeholders.appId}`, ...plan.identifierUris] },
      fills: true,
    },
    {
      why: 'The scopes it exposes, with their consent texts, and its app roles.',
      method: 'PATCH',
      path: app,
      body: { api: { oauth2PermissionScopes: permissionScopes(plan) }, appRoles: appRoles(plan) },
      fills: false,
    },
    preAuthorized.length > 0
      ? {
          why: 'Clients that need not ask their users. The scopes have to exist by now.',
          method: 'PATCH',
          path: app,
          body: { api: { preAuthorizedApplications: preAuthorized } },
          fills: false,
        }
      : undefined,
    plan.blueprint ? blueprintPrincipal : appPrincipal,
    federated && {
      why: 'The federated credential: tokens that stand for a secret.',
      method: 'POST',
      path: `${app}/federatedIdentityCredentials`,
      body: federated,
      fills: true,
    },
  ]
  return requests.filter((request) => request !== undefined)
}

/**
 * `requestedAccessTokenVersion` comes with the first request: App ID URIs are checked less strictly for apps of version
 * 2, and no token of version 1 is ever issued.
 *
 * @see https://learn.microsoft.com/graph/api/application-post-applications
 */
function appObject(plan: Plan): GraphRequest {
  const certificates = keyCredentials(plan)
  return {
    why: 'The app. Tokens of version 2 come first. Its answer has the appId that the others need.',
    method: 'POST',
    path: '/applications',
    body: {
      api: { requestedAccessTokenVersion: 2 },
      displayName: plan.name,
      signInAudience: signInAudience(plan),
      web: { redirectUris: plan.redirectUris },
      ...(certificates.length > 0 && { keyCredentials: certificates }),
    },
    fills: false,
  }
}

const appPrincipal: GraphRequest = {
  why: 'Its service principal in this tenant.',
  method: 'POST',
  path: '/servicePrincipals',
  body: { appId: placeholders.appId },
  fills: true,
}

/**
 * Graph JSON: the requests, and what only this format has to spell out.
 *
 * @throws UsageError for a permission whose id is not known
 */
export function graphJson(plan: Plan, graph: string): string {
  const permissions = (): GraphRequest => ({
    why: 'The delegated permissions it needs downstream.',
    method: 'PATCH',
    path: `/applications(appId='${placeholders.appId}')`,
    body: { requiredResourceAccess: requiredResourceAccess(plan) },
    fills: false,
  })
  const secret: GraphRequest = {
    why: 'A client secret: the answer shows secretText once.',
    method: 'POST',
    path: `/applications(appId='${placeholders.appId}')/addPassword`,
    body: { passwordCredential: { displayName: 'mcp-entra' } },
    fills: false,
  }
  const all = [
    ...graphRequests(plan),
    // An agent has no registration that lists what it needs: an administrator consents to it by a link.
    ...(plan.permissions.length > 0 && !plan.blueprint ? [permissions()] : []),
    ...(plan.credential.kind === 'secret' ? [secret] : []),
    ...(plan.blueprint ? [makeAgent(plan)] : []),
    ...roleAssignments(plan),
  ]
  const requests = all.map(({ why, method, path, body }) => ({
    comment: why,
    method,
    url: `${graph}/v1.0${path}`,
    ...(plan.blueprint && { headers: { 'OData-Version': '4.0' } }),
    ...(body !== undefined && { body }),
  }))
  return `${JSON.stringify({ placeholders: placeholdersOf(plan), requests }, null, 2)}\n`
}

function placeholdersOf({ agents, blueprint }: Plan): Readonly<Record<string, string>> {
  const { servicePrincipalId, agentPrincipalId, sponsorId } = agentPlaceholders
  return {
    ...placeholders,
    ...(agents.length > 0 && { servicePrincipalId, agentPrincipalId }),
    ...(blueprint && { sponsorId }),
  }
}

/** @see https://learn.microsoft.com/graph/api/resources/requiredresourceaccess */
function requiredResourceAccess(plan: Plan) {
  return byApi(plan).map(([resourceAppId, permissions]) => ({
    resourceAppId,
    resourceAccess: permissions.map(({ scope, id }) => {
      if (id !== undefined) return { id, type: 'Scope' }
      throw new UsageError(
        `--format graph needs the id of ${scope}: --permission ${scope}=<id>, from https://learn.microsoft.com/graph/permissions-reference; the other formats look it up`,
      )
    }),
  }))
}
