/** The registration as requests to Microsoft Graph, in their order. */
import { UsageError } from '../usage-error.js'
import {
  appRoles,
  byApi,
  federatedCredential,
  keyCredentials,
  permissionScopes,
  placeholders,
  preAuthorizedApplications,
  signInAudience,
} from './graph-objects.js'
import type { Plan } from './plan.js'

/** One request. Its URL and body may contain placeholders only when `fills` says so. */
export interface GraphRequest {
  readonly why: string
  readonly method: 'POST' | 'PATCH'
  /** Below `https://graph.microsoft.com/v1.0`. */
  readonly path: string
  readonly body: unknown
  /** Whether the body has placeholders: where users' texts stand, none is looked for. */
  readonly fills: boolean
}

/**
 * `requestedAccessTokenVersion` comes with the first request: App ID URIs are checked less strictly for apps of version
 * 2, and no token of version 1 is ever issued.
 *
 * @see https://learn.microsoft.com/graph/api/application-post-applications
 */
export function graphRequests(plan: Plan): readonly GraphRequest[] {
  const app = `/applications(appId='${placeholders.appId}')`
  const federated = federatedCredential(plan, plan.tenantId ?? placeholders.tenantId)
  const preAuthorized = preAuthorizedApplications(plan)
  const certificates = keyCredentials(plan)
  const requests: (GraphRequest | undefined)[] = [
    {
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
    },
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
    {
      why: 'Its service principal in this tenant.',
      method: 'POST',
      path: '/servicePrincipals',
      body: { appId: placeholders.appId },
      fills: true,
    },
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
 * Graph JSON: the requests, and what only this format has to spell out.
 *
 * @throws UsageError for a permission whose id is not known
 */
export function graphJson(plan: Plan, graph: string): string {
  const permissions = {
    why: 'The delegated permissions it needs downstream.',
    method: 'PATCH',
    path: `/applications(appId='${placeholders.appId}')`,
    body: { requiredResourceAccess: requiredResourceAccess(plan) },
    fills: false,
  }
  const secret = {
    why: 'A client secret: the answer shows secretText once.',
    method: 'POST',
    path: `/applications(appId='${placeholders.appId}')/addPassword`,
    body: { passwordCredential: { displayName: 'mcp-entra' } },
    fills: false,
  }
  const all = [
    ...graphRequests(plan),
    ...(plan.permissions.length > 0 ? [permissions] : []),
    ...(plan.credential.kind === 'secret' ? [secret] : []),
  ]
  const requests = all.map(({ why, method, path, body }) => ({
    comment: why,
    method,
    url: `${graph}/v1.0${path}`,
    body,
  }))
  return `${JSON.stringify({ placeholders, requests }, null, 2)}\n`
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
