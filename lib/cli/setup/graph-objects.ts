/** The registration in the terms of Microsoft Graph, which Azure CLI and Bicep share. */
import { clouds } from '../../entra/clouds.js'
import { managedIdentityIssuer, type Permission, type Plan } from './plan.js'

/** Stands for the client id, and for the tenant's, until they are known. */
export const placeholders = { appId: '{appId}', tenantId: '{tenantId}' } as const

/** What only registrations with agents need: object ids of service principals, and of the user who answers for an agent. */
export const agentPlaceholders = {
  servicePrincipalId: '{servicePrincipalId}',
  agentPrincipalId: '{agentPrincipalId}',
  sponsorId: '{sponsorId}',
} as const

/** One request. Its URL and body may contain placeholders only when `fills` says so. */
export interface GraphRequest {
  readonly why: string
  readonly method: 'POST' | 'PATCH' | 'GET'
  /** Below `https://graph.microsoft.com/v1.0`. */
  readonly path: string
  readonly body?: unknown
  /** Whether the body has placeholders: where users' texts stand, none is looked for. */
  readonly fills: boolean
}

/** @see https://learn.microsoft.com/graph/api/resources/application */
export function signInAudience({ multiTenant }: Plan): string {
  return multiTenant ? 'AzureADMultipleOrgs' : 'AzureADMyOrg'
}

/** @see https://learn.microsoft.com/graph/api/resources/permissionscope */
export function permissionScopes({ scopes }: Plan) {
  return scopes.map(({ id, value, text }) => ({
    id,
    value,
    type: 'User',
    isEnabled: true,
    adminConsentDisplayName: text.slice(0, 100),
    adminConsentDescription: text,
    userConsentDisplayName: text.slice(0, 100),
    userConsentDescription: text,
  }))
}

/** @see https://learn.microsoft.com/graph/api/resources/approle */
export function appRoles({ roles }: Plan) {
  return roles.map(({ id, value, text }) => ({
    id,
    value,
    displayName: text.slice(0, 100),
    description: text,
    isEnabled: true,
    allowedMemberTypes: ['User', 'Application'],
  }))
}

/** @see https://learn.microsoft.com/graph/api/resources/preauthorizedapplication */
export function preAuthorizedApplications({ clients, scopes }: Plan) {
  return clients.map((appId) => ({ appId, delegatedPermissionIds: scopes.map(({ id }) => id) }))
}

/** The permissions of each API. */
export function byApi({
  permissions,
}: Plan): readonly (readonly [string, readonly Permission[]])[] {
  const apis = [...new Set(permissions.map(({ api }) => api))]
  return apis.map((api) => [api, permissions.filter((permission) => permission.api === api)])
}

/** @see https://learn.microsoft.com/graph/api/resources/keycredential */
export function keyCredentials({ credential }: Plan) {
  if (credential.kind !== 'certificate') return []
  const { der: key } = credential
  return [{ type: 'AsymmetricX509Cert', usage: 'Verify', displayName: 'mcp-entra', key }]
}

/**
 * The federated credential, if the app has one.
 *
 * @param tenantId what to write for the tenant
 * @see https://learn.microsoft.com/graph/api/resources/federatedidentitycredential
 */
export function federatedCredential({ credential, cloud }: Plan, tenantId: string) {
  const audiences = [clouds[cloud].exchangeAudience]
  if (credential.kind === 'managed-identity') {
    const issuer = managedIdentityIssuer(cloud).join(tenantId)
    return { name: 'mcp-entra', issuer, subject: credential.subject, audiences }
  }
  if (credential.kind !== 'workload-identity') return undefined
  const { issuer, subject } = credential
  return { name: 'mcp-entra', issuer, subject, audiences }
}
