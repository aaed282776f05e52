/** `POST /register`: dynamic client registration. It stores nothing: the client id is the registration, sealed. */
import type { ServerResponse } from 'node:http'
import { oauthBodyLimit, readJson } from '../http/body.js'
import { noStore, sendJson } from '../http/respond.js'
import {
  allGrantTypes,
  type ClientMetadata,
  grantTypes,
  readClientMetadata,
} from '../oauth/client-metadata.js'
import { OAuthError } from '../oauth/errors.js'
import type { EndpointRequest, ProxyContext } from './context.js'
import { checkRedirectAllowed } from './requesting-client.js'

/** @see RFC 7591 section 3 */
export function register(context: ProxyContext) {
  return async function registerEndpoint(
    { req }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const body = await readRegistration(req)
    const served = context.features.identityAssertions ? allGrantTypes : grantTypes
    const asked = readClientMetadata(body, context.customSchemes, served)
    const metadata = supportedMetadata(context, asked)
    for (const uri of metadata.redirect_uris) {
      checkRedirectAllowed(context, metadata.application_type, uri)
    }
    const client = context.clients.register(metadata)
    const secret = context.clients.secretOf(client)
    noStore(res)
    sendJson(res, 201, {
      client_id: client.id,
      client_id_issued_at: client.issuedAt,
      ...client.metadata,
      ...supportedScopes(context, body),
      ...(secret !== undefined && { client_secret: secret, client_secret_expires_at: 0 }),
    })
  }
}

/** A body that cannot be read is `invalid_client_metadata`. @see RFC 7591 section 3.2.2 */
async function readRegistration(req: EndpointRequest['req']): Promise<unknown> {
  try {
    return await readJson(req, oauthBodyLimit)
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    throw new OAuthError('invalid_client_metadata', error.description, {
      status: error.status,
      cause: error,
    })
  }
}

/** What is off here is not promised. @see RFC 7591 section 3.2.1: the answer shows what was registered */
function supportedMetadata(
  { dpop }: Pick<ProxyContext, 'dpop'>,
  { dpop_bound_access_tokens: bound, ...metadata }: ClientMetadata,
): ClientMetadata {
  return dpop && bound ? { ...metadata, dpop_bound_access_tokens: bound } : metadata
}

/** Some clients send the `scope` of this answer to `/authorize`, so it names only scopes that exist. */
function supportedScopes(
  { scopes }: Pick<ProxyContext, 'scopes'>,
  body: unknown,
): { scope?: string } {
  const { scope } = body as { scope?: unknown }
  if (typeof scope !== 'string') return {}
  const known = scope.split(' ').filter((name) => scopes.supported.includes(name))
  return known.length > 0 ? { scope: [...new Set(known)].join(' ') } : {}
}
