/** The endpoints where Azure's machines get the tokens of managed identities: that of App Service, and IMDS. */
import { accessTokenClaims } from './claims.js'
import type { EntraApp } from './directory.js'
import type { Emulation } from './emulation.js'
import type { AadstsError } from './errors.js'
import { type EntraRequest, header, json, type Reply } from './messages.js'
import { accessTokenHeader, issue } from './mint.js'
import type { EntraManagedIdentityOptions } from './options.js'

/** The path in `IDENTITY_ENDPOINT`. */
export const appServicePath = '/msi/token'

/** Seconds a managed identity's token lives. */
const lifetime = 24 * 3600

/** @see https://learn.microsoft.com/azure/app-service/overview-managed-identity#rest-endpoint-reference */
export function appServiceIdentity(
  emulation: Emulation,
  request: EntraRequest,
  fault: AadstsError | undefined,
): Reply {
  const refusal = (status: number, message: string) => json(status, { statusCode: status, message })
  if (fault) return refusal(fault.status, fault.message)
  if (header(request, 'x-identity-header') !== emulation.identityHeader) {
    return refusal(401, 'X-IDENTITY-HEADER is missing or is not IDENTITY_HEADER.')
  }
  if (request.query['api-version'] !== '2019-08-01') {
    return refusal(400, 'Unsupported api-version.')
  }
  const found = answer(emulation, request, 'mi_res_id')
  if (typeof found === 'string') return refusal(400, found)
  const { expires_on, not_before, token_type, resource, client_id, access_token } = found
  return json(200, { access_token, client_id, expires_on, not_before, resource, token_type })
}

/** @see https://learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token */
export function instanceMetadata(
  emulation: Emulation,
  request: EntraRequest,
  fault: AadstsError | undefined,
): Reply {
  const refusal = (status: number, description: string) =>
    json(status, { error: 'invalid_request', error_description: description })
  if (fault) return refusal(fault.status, fault.message)
  if (header(request, 'metadata') !== 'true') {
    return refusal(400, 'Required metadata header not specified')
  }
  if (request.query['api-version'] !== '2018-02-01') return refusal(400, 'Unsupported api-version')
  const found = answer(emulation, request, 'msi_res_id')
  return typeof found === 'string' ? refusal(400, found) : json(200, found)
}

/** The members of the answer, or what is wrong with the request. */
function answer(
  emulation: Emulation,
  { query }: EntraRequest,
  resourceId: 'mi_res_id' | 'msi_res_id',
) {
  const { resource = '', client_id, object_id = query.principal_id } = query
  const identity = findIdentity(emulation, client_id, object_id, query[resourceId])
  if (!identity) return 'Identity not found'
  const api = emulation.directory.resource(resource)
  if (!api) {
    return `AADSTS500011: The resource principal named ${resource} was not found in the tenant.`
  }
  const now = emulation.clock.now()
  return {
    access_token: accessToken(emulation, identity, api, resource),
    client_id: identity.clientId,
    expires_in: String(lifetime),
    expires_on: String(now + lifetime),
    ext_expires_in: String(lifetime),
    not_before: String(now),
    resource,
    token_type: 'Bearer',
  }
}

/** A request that names no identity means the only one. */
function findIdentity(
  { managedIdentities }: Emulation,
  clientId: string | undefined,
  objectId: string | undefined,
  resourceId: string | undefined,
): EntraManagedIdentityOptions | undefined {
  if (clientId === undefined && objectId === undefined && resourceId === undefined) {
    return managedIdentities.length === 1 ? managedIdentities[0] : undefined
  }
  return managedIdentities.find(
    (identity) =>
      identity.clientId === clientId ||
      identity.principalId === objectId ||
      (resourceId !== undefined && identity.resourceId === resourceId),
  )
}

/** As for every app: the API decides on the version of the token, and its roles are those it has granted. */
function accessToken(
  emulation: Emulation,
  { clientId, tenantId }: EntraManagedIdentityOptions,
  resource: EntraApp,
  audience: string,
): string {
  const { directory } = emulation
  const client = directory.app(clientId)
  if (!client) throw new Error(`The identity ${clientId} is missing from the directory`)
  const subject = {
    client,
    proof: '2',
    resource,
    audience,
    tid: tenantId ?? directory.tenants[0]?.id ?? '',
    version: resource.requestedAccessTokenVersion,
    scopes: [],
    roles: resource.applicationPermissions[clientId] ?? [],
  } as const
  const claims = accessTokenClaims(emulation, subject, { expiresIn: lifetime })
  return issue(emulation, accessTokenHeader(resource), claims)
}
