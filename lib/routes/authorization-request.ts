/** The authorization request: checked once at `/authorize`, then sealed into the consent form. */

import { withRequired } from '../entra/scopes.js'
import type { ClientMetadata } from '../oauth/client-metadata.js'
import { OAuthError } from '../oauth/errors.js'
import { type Params, required } from '../oauth/params.js'
import { isCodeChallenge } from '../oauth/pkce.js'
import { checkRedirectUri, matchesRegistration } from '../oauth/redirect-uri.js'
import { requestedResource } from '../oauth/resource.js'
import type { Client } from '../tokens/clients.js'
import type { ProxyContext } from './context.js'

/** A request known to be good. */
export interface AuthorizationRequest {
  readonly clientId: string
  readonly redirectUri: string
  readonly state?: string
  readonly codeChallenge: string
  /** Short names. */
  readonly scopes: readonly string[]
  readonly resource: string
  /** Passed on to Entra as they are. */
  readonly hints: Readonly<Partial<Record<Hint, string>>>
}

/** Parameters of a client that Entra gets to see. */
export type Hint = (typeof hints)[number]

const hints = ['prompt', 'login_hint', 'domain_hint'] as const
const prompts = ['none', 'login', 'consent', 'select_account']

/**
 * The client and where to send its answers: as long as these are not known good there is no redirecting.
 *
 * @param sender who asks, as an opaque key
 * @throws OAuthError to show on a page
 * @see RFC 6749 section 4.1.2.1
 */
export async function knownClient(
  context: Pick<ProxyContext, 'clients' | 'customSchemes' | 'allowRedirect'>,
  params: Params,
  sender: string,
): Promise<{ client: Client; redirectUri: string }> {
  const client = await findClient(context.clients, required(params, 'client_id'), sender)
  if (!client) {
    throw new OAuthError(
      'invalid_client',
      'This application is not registered here. Remove the server from the application and add it again, so that it registers anew.',
      { status: 400 },
    )
  }
  const redirectUri = knownRedirectUri(client, params.redirect_uri)
  checkAllowed(context, client.metadata.application_type, redirectUri)
  return { client, redirectUri }
}

/** A document that is no good is shown on a page: no 401, for there are no credentials a browser could send. */
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

function knownRedirectUri({ metadata }: Client, requested: string | undefined): string {
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

/**
 * Whether a redirect URI is good enough today: client ids outlive the settings they were issued under.
 *
 * @throws OAuthError `invalid_redirect_uri`
 * @see MCP SEP-837
 */
export function checkAllowed(
  { customSchemes, allowRedirect }: Pick<ProxyContext, 'customSchemes' | 'allowRedirect'>,
  type: ClientMetadata['application_type'],
  redirectUri: string,
): void {
  checkRedirectUri(redirectUri, type, customSchemes)
  if (!allowRedirect(new URL(redirectUri))) {
    throw new OAuthError('invalid_redirect_uri', 'The redirect URI is not one this server allows.')
  }
}

/**
 * The rest of the request. From here on errors go to the client, by redirect.
 *
 * @throws OAuthError
 */
export function readAuthorizationRequest(
  context: ProxyContext,
  params: Params,
  client: Client,
  redirectUri: string,
): AuthorizationRequest {
  checkResponse(params)
  const { state } = params
  return {
    clientId: client.id,
    redirectUri,
    ...(state !== undefined && { state }),
    codeChallenge: readCodeChallenge(params),
    resource: requestedResource(context, params.resource).url,
    scopes: withRequired(context.scopes, context.scopes.fromClient(params.scope)),
    hints: readHints(params),
  }
}

function checkResponse({ response_type, response_mode, request, request_uri }: Params): void {
  if (response_type === undefined)
    throw new OAuthError('invalid_request', "'response_type' is missing")
  if (response_type !== 'code') {
    throw new OAuthError('unsupported_response_type', "'response_type' must be 'code'.")
  }
  if (response_mode !== undefined && response_mode !== 'query') {
    throw new OAuthError('invalid_request', "'response_mode' must be 'query'.")
  }
  if (request !== undefined || request_uri !== undefined) {
    throw new OAuthError('invalid_request', 'Request objects are not supported.')
  }
}

/** @see RFC 7636 section 4.4.1, RFC 9700 section 2.1.1 */
function readCodeChallenge(params: Params): string {
  const challenge = params.code_challenge
  if (challenge === undefined) {
    throw new OAuthError('invalid_request', "'code_challenge' is missing: PKCE is required.")
  }
  if (params.code_challenge_method !== 'S256') {
    throw new OAuthError('invalid_request', "'code_challenge_method' must be 'S256'.")
  }
  if (!isCodeChallenge(challenge)) {
    throw new OAuthError('invalid_request', "'code_challenge' must be 43 base64url characters.")
  }
  return challenge
}

function readHints(params: Params): AuthorizationRequest['hints'] {
  const { prompt } = params
  if (prompt !== undefined && !prompts.includes(prompt)) {
    throw new OAuthError('invalid_request', `'prompt' must be one of: ${prompts.join(', ')}.`)
  }
  const given = hints.flatMap((name) => {
    const value = params[name]
    if (value !== undefined && value.length > 320) {
      throw new OAuthError('invalid_request', `'${name}' is longer than 320 characters.`)
    }
    return value === undefined ? [] : [[name, value] as const]
  })
  return Object.fromEntries(given)
}
