/** The authorization request: checked at `/authorize`, then sealed into the consent form. */
import { withRequired } from '../entra/scopes.js'
import { isThumbprint } from '../oauth/dpop.js'
import { OAuthError } from '../oauth/errors.js'
import type { Params } from '../oauth/params.js'
import { isCodeChallenge } from '../oauth/pkce.js'
import { findResource } from '../oauth/resource.js'
import type { ProxyContext } from './context.js'
import type { RequestingClient } from './requesting-client.js'

/** An authorization request that has been checked. */
export interface AuthorizationRequest {
  readonly clientId: string
  readonly redirectUri: string
  readonly state?: string
  readonly codeChallenge: string
  /** The DPoP key that the code is bound to. @see RFC 9449 section 10 */
  readonly dpopJkt?: string
  /** Short names. */
  readonly scopes: readonly string[]
  readonly resource: string
  /** The language of pages that the client asked for, if there is one here (BCP 47). */
  readonly language?: string
  /** Passed on to Entra unchanged. */
  readonly hints: Readonly<Partial<Record<Hint, string>>>
}

/** Parameters of the client's request that are passed on to Entra. */
export type Hint = (typeof hints)[number]

const hints = ['prompt', 'login_hint', 'domain_hint'] as const
const prompts = ['none', 'login', 'consent', 'select_account']

/**
 * Reads the rest of the request, once its client is known.
 *
 * @throws OAuthError that goes to the client, by redirect
 */
export function readAuthorizationRequest(
  context: Pick<ProxyContext, 'resources' | 'scopes' | 'looks' | 'dpop'>,
  params: Params,
  { client, redirectUri }: RequestingClient,
): AuthorizationRequest {
  checkResponseType(params)
  const { state } = params
  const language = context.looks.languageFor(params.ui_locales)
  return {
    clientId: client.id,
    redirectUri,
    ...(state !== undefined && { state }),
    codeChallenge: readCodeChallenge(params),
    ...readDpopKey(context, params),
    resource: findResource(context, params.resource).url,
    scopes: withRequired(context.scopes, context.scopes.fromClient(params.scope)),
    ...(language !== undefined && { language }),
    hints: readHints(params),
  }
}

function checkResponseType({ response_type, response_mode, request, request_uri }: Params): void {
  if (response_type === undefined)
    throw new OAuthError('invalid_request', "'response_type' is missing.")
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

/** Without DPoP here it is an unknown parameter, which is ignored (RFC 6749 section 3.1). */
function readDpopKey(
  { dpop }: Pick<ProxyContext, 'dpop'>,
  { dpop_jkt: dpopJkt }: Params,
): { dpopJkt?: string } {
  if (!dpop || dpopJkt === undefined) return {}
  if (isThumbprint(dpopJkt)) return { dpopJkt }
  throw new OAuthError('invalid_request', "'dpop_jkt' must be 43 base64url characters.")
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
