/** The client of an authorization request, and the redirect URI that its answers go to. */
import { attribute } from '../http/event-facts.js'
import type { ClientMetadata } from '../oauth/client-metadata.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, required } from '../oauth/params.js'
import { checkRedirectUri, matchesRegistration } from '../oauth/redirect-uri.js'
import type { Client } from '../tokens/clients.js'
import type { ProxyContext } from './context.js'

/** A client that is known, and a redirect URI that is registered for it and allowed here. */
export interface RequestingClient {
  readonly client: Client
  readonly redirectUri: string
}

/**
 * Finds the client and checks its redirect URI. Nothing may be redirected before this has succeeded.
 *
 * @param sender who asks, as an opaque key
 * @throws OAuthError to show on a page
 * @see RFC 6749 section 4.1.2.1
 */
export async function identifyClient(
  context: Pick<ProxyContext, 'clients' | 'customSchemes' | 'allowRedirect'>,
  params: Params,
  sender: string,
): Promise<RequestingClient> {
  const client = await findClient(context.clients, required(params, 'client_id'), sender)
  if (!client) {
    throw new OAuthError(
      'invalid_client',
      'This application is not registered here. Remove the server from the application and add it again, so that it registers anew.',
      { status: 400, situation: 'unknownClient' },
    )
  }
  try {
    const redirectUri = chooseRedirectUri(client, params.redirect_uri)
    checkRedirectAllowed(context, client.metadata.application_type, redirectUri)
    return { client, redirectUri }
  } catch (error) {
    throw attribute(error, { client: { id: client.id } })
  }
}

/**
 * Checks a redirect URI against the settings of today: client ids live longer than the settings they were issued
 * under.
 *
 * @throws OAuthError `invalid_redirect_uri`
 * @see MCP SEP-837
 */
export function checkRedirectAllowed(
  { customSchemes, allowRedirect }: Pick<ProxyContext, 'customSchemes' | 'allowRedirect'>,
  type: ClientMetadata['application_type'],
  redirectUri: string,
): void {
  checkRedirectUri(redirectUri, type, customSchemes)
  if (!allowRedirect(new URL(redirectUri))) {
    throw new OAuthError('invalid_redirect_uri', 'This server does not allow the redirect URI.')
  }
}

/** A bad client document is a 400 on a page: a browser cannot answer a 401 with credentials. */
async function findClient(
  clients: ProxyContext['clients'],
  id: string,
  sender: string,
): Promise<Client | undefined> {
  try {
    return await clients.find(id, sender)
  } catch (cause) {
    if (!(cause instanceof OAuthError) || cause.code !== 'invalid_client') throw cause
    throw new OAuthError('invalid_client', cause.description, { status: 400, cause })
  }
}

/** @see RFC 6749 section 3.1.2.3: it may be left out when only one is registered */
function chooseRedirectUri({ metadata }: Client, requested: string | undefined): string {
  const [only, ...others] = metadata.redirect_uris
  if (requested === undefined) {
    if (only !== undefined && others.length === 0) return only
    throw new OAuthError(
      'invalid_request',
      "'redirect_uri' is missing, and several are registered.",
    )
  }
  if (!matchesRegistration(requested, metadata.redirect_uris)) {
    throw new OAuthError(
      'invalid_request',
      "The 'redirect_uri' is not registered for this application.",
    )
  }
  return requested
}
