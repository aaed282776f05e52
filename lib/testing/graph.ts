/** A small Microsoft Graph: enough to see for which user, and with which scopes, a token works. */
import { randomUUID } from 'node:crypto'
import { type EntraUser, graphId, graphUri } from './directory.js'
import type { Emulation } from './emulation.js'
import type { AadstsError } from './errors.js'
import { hasValidSignature, type JsonObject, readJwt } from './jwt.js'
import { type EntraRequest, header, json, type Reply } from './messages.js'

/** Answers a request under `/v1.0`: `GET /me` and `GET /me/messages`. */
export function graph(emulation: Emulation, request: EntraRequest): Reply {
  const claims = readBearer(emulation, request)
  if (typeof claims === 'string') return unauthorized(emulation, claims)
  if (request.method !== 'GET') return graphError(405, 'Request_BadRequest', 'Method not allowed.')
  if (claims.scp === undefined) {
    return graphError(
      400,
      'BadRequest',
      '/me request is only valid with delegated authentication flow.',
    )
  }
  const user = emulation.directory.user({ oid: String(claims.oid), tid: String(claims.tid) })
  if (!user) return graphError(404, 'Request_ResourceNotFound', 'Resource does not exist.')
  const challenge = emulation.graphChallenges.of(user, bearerOf(request))
  if (challenge !== undefined) {
    const message = 'Continuous access evaluation resulted in challenge.'
    return unauthorized(emulation, message, challenge)
  }
  return answer(emulation, request.path, user, String(claims.scp).split(' '))
}

/** A refusal in Graph's own form, with the claims challenge if there is one. */
export function graphRefusal(emulation: Emulation, error: AadstsError): Reply {
  if (error.status === 429)
    return graphError(429, 'TooManyRequests', 'Please retry after some time.')
  if (error.status >= 500) return graphError(error.status, 'ServiceUnavailable', error.message)
  return unauthorized(emulation, error.message, error.claims)
}

/** Graph's error body. */
export function graphError(
  status: number,
  code: string,
  message: string,
  headers: Reply['headers'] = {},
): Reply {
  const id = randomUUID()
  const innerError = {
    date: new Date().toISOString().slice(0, 19),
    'request-id': id,
    'client-request-id': id,
  }
  return json(status, { error: { code, message, innerError } }, { 'request-id': id, ...headers })
}

function bearerOf(request: EntraRequest): string {
  const [scheme = '', token = ''] = (header(request, 'authorization') ?? '').split(' ')
  return scheme.toLowerCase() === 'bearer' ? token : ''
}

/** Claims of a valid bearer token for Graph, or the reason why it is not valid. */
function readBearer(emulation: Emulation, request: EntraRequest): JsonObject | string {
  const token = bearerOf(request)
  if (!token) return 'Access token is empty.'
  const jwt = readJwt(token)
  if (!jwt) return 'CompactToken parsing failed with error code: 80049217'
  if (!hasValidSignature(jwt, emulation.keys.published)) return 'Access token validation failure.'
  const { aud, exp, nbf } = jwt.claims
  const now = emulation.clock.now()
  const known = [graphId, graphUri, `${graphUri}/`].includes(String(aud))
  if (!known) return 'Access token validation failure. Invalid audience.'
  if (!(Number(nbf) <= now && now < Number(exp))) {
    return 'Lifetime validation failed, the token is expired.'
  }
  return jwt.claims
}

function answer(
  emulation: Emulation,
  path: string,
  user: EntraUser,
  scopes: readonly string[],
): Reply {
  const resource = resources.get(path)
  if (!resource) return graphError(404, 'BadRequest', 'Resource not found for the segment.')
  if (!scopes.includes(resource.scope)) {
    return graphError(
      403,
      'Authorization_RequestDenied',
      'Insufficient privileges to complete the operation.',
    )
  }
  return json(200, resource.read(user, emulation.url))
}

const resources: ReadonlyMap<string, GraphResource> = new Map([
  ['/v1.0/me', { scope: 'User.Read', read: profile }],
  ['/v1.0/me/messages', { scope: 'Mail.Read', read: messages }],
])

interface GraphResource {
  readonly scope: string
  readonly read: (user: EntraUser, url: string) => Record<string, unknown>
}

function profile({ oid, name, username }: EntraUser, url: string): Record<string, unknown> {
  const [givenName = '', ...rest] = name.split(' ')
  return {
    '@odata.context': `${url}/v1.0/$metadata#users/$entity`,
    businessPhones: [],
    displayName: name,
    givenName,
    jobTitle: null,
    mail: username,
    mobilePhone: null,
    officeLocation: null,
    preferredLanguage: null,
    surname: rest.join(' '),
    userPrincipalName: username,
    id: oid,
  }
}

function messages({ name }: EntraUser, url: string): Record<string, unknown> {
  const message = { id: 'AAMkAD0001', subject: `Welcome, ${name}`, isRead: false }
  return { '@odata.context': `${url}/v1.0/$metadata#users('me')/messages`, value: [message] }
}

function unauthorized({ url }: Emulation, message: string, claims?: string): Reply {
  const challenge = [
    'Bearer realm=""',
    `authorization_uri="${url}/common/oauth2/v2.0/authorize"`,
    `client_id="${graphId}"`,
    ...(claims
      ? ['error="insufficient_claims"', `claims="${Buffer.from(claims).toString('base64')}"`]
      : []),
  ].join(', ')
  return graphError(401, 'InvalidAuthenticationToken', message, { 'WWW-Authenticate': challenge })
}
