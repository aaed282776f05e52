/** Finds the endpoint of a request, describes the request for the log, and answers it. */
import { authorize } from './authorize.js'
import { withBasicCredentials } from './client-authentication.js'
import type { EntraUser } from './directory.js'
import type { Emulation } from './emulation.js'
import { AadstsError } from './errors.js'
import { graph, graphRefusal } from './graph.js'
import { appServiceIdentity, instanceMetadata } from './identity-endpoints.js'
import { indexPage } from './index-page.js'
import { readJwt } from './jwt.js'
import { type EntraRequest, header, html, json, type Params, type Reply } from './messages.js'
import { keyDocument, openidConfiguration } from './metadata.js'
import type { EntraEndpoint, EntraGrant, LoggedRequest } from './request-log.js'
import { token, tokenError } from './token.js'

/** The endpoint and the tenant of a request. */
export interface Route {
  readonly endpoint: EntraEndpoint | undefined
  readonly tenant: string | undefined
  answer(emulation: Emulation, request: EntraRequest, fault: AadstsError | undefined): Reply
}

/** Finds the route of a path. */
export function findRoute(path: string): Route {
  for (const { endpoint, pattern, answer } of table) {
    const match = pattern.exec(path)
    if (!match) continue
    const tenant = decode(match[1])
    return {
      endpoint,
      tenant,
      answer: (emulation, request, fault) =>
        answer({ emulation, request, tenant: tenant ?? '', fault }),
    }
  }
  return { endpoint: undefined, tenant: undefined, answer: notFound }
}

/** The log entry of a request that has just arrived. */
export function describeRequest(
  { directory, codes, refreshTokens }: Emulation,
  request: EntraRequest,
  { endpoint, tenant }: Route,
): LoggedRequest {
  const params = { ...request.query, ...request.form }
  const grantType = endpoint === 'token' ? grantNames.get(params.grant_type ?? '') : undefined
  const clientId = withBasicCredentials(request).client_id ?? params.client_id
  const user = findUser({ directory, codes, refreshTokens }, request, params, endpoint)
  return {
    time: Date.now(),
    method: request.method,
    path: request.path,
    ...(endpoint ? { endpoint } : {}),
    ...(tenant ? { tenant } : {}),
    ...(grantType ? { grantType } : {}),
    ...(clientId ? { clientId } : {}),
    ...(user ? { user: user.username } : {}),
    params,
    headers: request.headers,
    answered: false,
  }
}

interface Call {
  readonly emulation: Emulation
  readonly request: EntraRequest
  readonly tenant: string
  readonly fault: AadstsError | undefined
}

interface TableRow {
  readonly endpoint: EntraEndpoint | undefined
  readonly pattern: RegExp
  answer(call: Call): Reply
}

const table: readonly TableRow[] = [
  {
    endpoint: 'openid-configuration',
    pattern: /^\/([^/]+)\/v2\.0\/\.well-known\/openid-configuration$/,
    answer: documented(({ emulation, tenant }) => openidConfiguration(emulation, tenant, 2)),
  },
  {
    endpoint: 'openid-configuration',
    pattern: /^\/([^/]+)\/\.well-known\/openid-configuration$/,
    answer: documented(({ emulation, tenant }) => openidConfiguration(emulation, tenant, 1)),
  },
  {
    endpoint: 'keys',
    pattern: /^\/([^/]+)\/discovery(?:\/v2\.0)?\/keys$/,
    answer: documented(({ emulation, tenant }) => keyDocument(emulation, tenant)),
  },
  {
    endpoint: 'authorize',
    pattern: /^\/([^/]+)\/oauth2\/v2\.0\/authorize$/,
    answer: ({ emulation, request, tenant, fault }) => authorize(emulation, request, tenant, fault),
  },
  {
    endpoint: 'token',
    pattern: /^\/([^/]+)\/oauth2\/v2\.0\/token$/,
    answer: ({ emulation, request, tenant, fault }) => token(emulation, request, tenant, fault),
  },
  {
    endpoint: 'graph',
    pattern: /^\/v1\.0\//,
    answer: ({ emulation, request, fault }) =>
      fault ? { ...graphRefusal(emulation, fault), error: fault.code } : graph(emulation, request),
  },
  {
    endpoint: 'identity',
    pattern: /^\/msi\/token$/,
    answer: ({ emulation, request, fault }) => appServiceIdentity(emulation, request, fault),
  },
  {
    endpoint: 'identity',
    // MSAL appends a slash when it is given another host.
    pattern: /^\/metadata\/identity\/oauth2\/token\/?$/,
    answer: ({ emulation, request, fault }) => instanceMetadata(emulation, request, fault),
  },
  {
    endpoint: undefined,
    pattern: /^\/$/,
    answer: ({ emulation }) => html(200, indexPage(emulation)),
  },
]

const grantNames: ReadonlyMap<string, EntraGrant> = new Map([
  ['authorization_code', 'authorization_code'],
  ['refresh_token', 'refresh_token'],
  ['urn:ietf:params:oauth:grant-type:jwt-bearer', 'on_behalf_of'],
  ['client_credentials', 'client_credentials'],
  ['user_fic', 'user_fic'],
])

/** A public document, for GET from any origin. Refusals are JSON. */
function documented(read: (call: Call) => Reply): (call: Call) => Reply {
  return (call) => {
    const { emulation, request, fault } = call
    if (request.method !== 'GET' && request.method !== 'HEAD') return notFound()
    try {
      if (fault) throw fault
      return read(call)
    } catch (error) {
      if (error instanceof AadstsError) return tokenError(emulation, request, error)
      throw error
    }
  }
}

function notFound(): Reply {
  return json(404, { error: 'not_found' })
}

type Records = Pick<Emulation, 'directory' | 'codes' | 'refreshTokens'>

function findUser(
  { directory, codes, refreshTokens }: Records,
  request: EntraRequest,
  params: Params,
  endpoint: EntraEndpoint | undefined,
): EntraUser | undefined {
  if (endpoint === 'authorize') return directory.user(params.sign_in_as ?? params.login_hint ?? '')
  if (endpoint === 'graph') {
    return userOfToken(directory, (header(request, 'authorization') ?? '').replace(/^bearer /i, ''))
  }
  if (endpoint !== 'token') return undefined
  return (
    codes.get(params.code ?? '')?.user ??
    refreshTokens.get(params.refresh_token ?? '')?.user ??
    userOfToken(directory, params.assertion ?? '')
  )
}

function userOfToken(directory: Emulation['directory'], jwt: string): EntraUser | undefined {
  const claims = readJwt(jwt)?.claims
  return claims && directory.user({ oid: String(claims.oid), tid: String(claims.tid) })
}

function decode(segment: string | undefined): string | undefined {
  try {
    return segment === undefined ? undefined : decodeURIComponent(segment)
  } catch {
    return segment
  }
}
