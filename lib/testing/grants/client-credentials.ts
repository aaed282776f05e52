/** Client credentials: an app-only token whose roles an administrator has granted. */
import type { Authority } from '../authority.js'
import { accessTokenClaims } from '../claims.js'
import { requireProof } from '../client-authentication.js'
import type { EntraApp } from '../directory.js'
import type { Emulation } from '../emulation.js'
import { refuse, required } from '../errors.js'
import { accessTokenHeader, issue } from '../mint.js'
import { checkResource, parseScope, type ResourceScopes } from '../scopes.js'
import { audienceOf } from '../token-answer.js'
import { issueAgentAssertion } from './agent-assertion.js'
import type { TokenRequest } from './grant.js'
import { checkOrigin } from './origin.js'

/** Issues a token to the application itself. */
export function clientCredentials(
  emulation: Emulation,
  request: TokenRequest,
): Record<string, unknown> {
  const { client, params } = request
  const tid = tenantOf(request.authority, client.app)
  checkOrigin(request.origin, false)
  requireProof(client)
  const scope = required(params, 'scope')
  const resource = defaultScope(emulation, scope, client.app)
  checkResource(emulation.directory, params.resource, { oidc: [], resources: [resource] })
  if (params.fmi_path) {
    return tokenAnswer(emulation, issueAgentAssertion(emulation, request, resource, tid))
  }
  const { app } = resource
  const subject = {
    client: client.app,
    proof: client.proof,
    resource: app,
    audience: audienceOf(resource),
    tid,
    version: app.requestedAccessTokenVersion,
    scopes: [],
    roles: app.applicationPermissions[client.app.clientId] ?? [],
  }
  const claims = accessTokenClaims(emulation, subject, {})
  return tokenAnswer(emulation, issue(emulation, accessTokenHeader(app), claims))
}

function tokenAnswer({ accessTokenLifetime }: Emulation, token: string): Record<string, unknown> {
  return {
    token_type: 'Bearer',
    expires_in: accessTokenLifetime,
    ext_expires_in: accessTokenLifetime,
    access_token: token,
  }
}

/** With `/organizations` the tenant is the client's own. `/common` is refused. */
function tenantOf(authority: Authority, client: EntraApp): string {
  if (authority.kind === 'tenant') return authority.id
  if (authority.id === 'organizations') return client.tenantId
  return refuse(
    9001023,
    'The grant type is not supported over the /common or /consumers endpoints. ' +
      'Please use the /organizations or tenant-specific endpoint.',
  )
}

function defaultScope(emulation: Emulation, scope: string, client: EntraApp): ResourceScopes {
  const words = scope.split(' ').filter(Boolean)
  if (!words.every((word) => word.endsWith('/.default')) || words.length === 0) refuseScope(scope)
  const [resource, ...others] = parseScope(emulation.directory, scope, client).resources
  return !resource || others.length > 0 ? refuseScope(scope) : resource
}

function refuseScope(scope: string): never {
  return refuse(
    1002012,
    `The provided value for scope ${scope} is not valid. Client credential flows must have a scope value ` +
      'with /.default suffixed to the resource identifier (application ID URI).',
  )
}
