/** `/token`: reads the form, finds and checks the client, and calls the grant. */
import { findAuthority } from './authority.js'
import { authenticateClient, withBasicCredentials } from './client-authentication.js'
import type { Emulation } from './emulation.js'
import { AadstsError, errorBody, newTrace, refuse, required } from './errors.js'
import { agentUser } from './grants/agent-user.js'
import { authorizationCode } from './grants/authorization-code.js'
import { clientCredentials } from './grants/client-credentials.js'
import type { Grant } from './grants/grant.js'
import { onBehalfOf } from './grants/on-behalf-of.js'
import { refreshToken } from './grants/refresh-token.js'
import { type EntraRequest, header, json, type Reply, withHeaders } from './messages.js'

const grants: ReadonlyMap<string, Grant> = new Map([
  ['authorization_code', authorizationCode],
  ['refresh_token', refreshToken],
  ['urn:ietf:params:oauth:grant-type:jwt-bearer', onBehalfOf],
  ['client_credentials', clientCredentials],
  ['user_fic', agentUser],
])

/**
 * Answers a token request.
 *
 * @param fault an error that a test has ordered: the answer to every request
 */
export function token(
  emulation: Emulation,
  request: EntraRequest,
  segment: string,
  fault?: AadstsError,
): Reply {
  const origin = header(request, 'origin')
  const cors = { 'Access-Control-Allow-Origin': '*' }
  try {
    if (fault) throw fault
    const body = redeem(emulation, request, segment, origin)
    const trace = newTrace(emulation.clock.now(), undefined)
    const ids = { 'x-ms-request-id': trace.traceId }
    return withHeaders(json(200, body, ids), origin ? cors : {})
  } catch (error) {
    if (!(error instanceof AadstsError)) throw error
    return withHeaders(tokenError(emulation, request, error), origin ? cors : {})
  }
}

/** A refusal in the token endpoint's form. */
export function tokenError(emulation: Emulation, request: EntraRequest, error: AadstsError): Reply {
  const id = header(request, 'client-request-id') ?? request.query['client-request-id']
  const sent = request.form['client-request-id']
  const trace = newTrace(emulation.clock.now(), id ?? sent)
  const body = errorBody(error, trace, 'https://login.microsoftonline.com')
  const ids = { 'x-ms-request-id': trace.traceId, 'client-request-id': trace.correlationId }
  return { ...json(error.status, body, ids), error: error.code }
}

function redeem(
  emulation: Emulation,
  request: EntraRequest,
  segment: string,
  origin: string | undefined,
): Record<string, unknown> {
  if (request.method !== 'POST') {
    refuse(900561, `The endpoint only accepts POST requests. Received a ${request.method} request.`)
  }
  const authority = findAuthority(emulation.directory, segment)
  const params = withBasicCredentials(request)
  const grant = findGrant(required(params, 'grant_type'))
  const client = authenticateClient(emulation, authority, params)
  return grant(emulation, { authority, client, params, origin })
}

function findGrant(type: string): Grant {
  const grant = grants.get(type)
  if (grant) return grant
  return refuse(70003, `The app requested an unsupported grant type '${type}'.`)
}
