/** Dynamic client registration: reads a registration from a request. */
import type { ClientKeySet } from './client-keys.js'
import { OAuthError } from './errors.js'
import { type ApplicationType, checkRedirectUri } from './redirect-uri.js'

/** How a client authenticates at the token endpoint. @see RFC 7591 section 2 */
export type TokenEndpointAuthMethod =
  | 'none'
  | 'client_secret_post'
  | 'client_secret_basic'
  | 'private_key_jwt'

/**
 * The methods with which a client may register itself, as the metadata document lists them. A client that was given its
 * id, and perhaps a secret, may take the first one without a look at the rest (the C# SDK of MCP does): with this one it
 * sends its secret, if it has one.
 */
export const authMethods: readonly TokenEndpointAuthMethod[] = [
  'client_secret_post',
  'client_secret_basic',
  'none',
]

/** The grant types we serve in any case. */
export const grantTypes: readonly string[] = ['authorization_code', 'refresh_token']

/** An identity provider's word, where the operator trusts one. @see RFC 7523 section 2.1 */
export const jwtBearerGrant = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** {@link grantTypes}, and the identity provider's word. */
export const allGrantTypes: readonly string[] = [...grantTypes, jwtBearerGrant]

/** A registration, with the members of RFC 7591. */
export interface ClientMetadata {
  readonly redirect_uris: readonly string[]
  readonly token_endpoint_auth_method: TokenEndpointAuthMethod
  readonly grant_types: readonly string[]
  readonly response_types: readonly ['code']
  readonly application_type: ApplicationType
  readonly client_name?: string
  readonly client_uri?: string
  /** The client wants no tokens but bound ones. @see RFC 9449 section 5.2 */
  readonly dpop_bound_access_tokens?: true
  /** Keys of a client with `private_key_jwt`, from its document or set up by the operator. */
  readonly jwks?: ClientKeySet
  readonly jwks_uri?: string
  readonly token_endpoint_auth_signing_alg?: string
}

const mostRedirectUris = 16
const longestText = 256

/**
 * Reads a registration request. Unknown members are ignored, as RFC 7591 asks. Members that we know but cannot support
 * are refused or, where the RFC lets a server choose, replaced, as the answer shows. A client that names no
 * authentication method gets the RFC's default, and so a secret.
 *
 * @param served the grant types to keep of those that it names
 * @throws OAuthError `invalid_client_metadata` or `invalid_redirect_uri`
 * @see RFC 7591 sections 2 and 3.2
 */
export function readClientMetadata(
  body: unknown,
  customSchemes: readonly string[],
  served = grantTypes,
): ClientMetadata {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw refusal('The registration must be a JSON object.')
  }
  const given = body as Record<string, unknown>
  const applicationType =
    readOneOf(given, 'application_type', ['native', 'web'] as const) ?? 'native'
  const types = readGrantTypes(given, served)
  const redirects = types.includes('authorization_code')
  const uris = redirects ? readRedirectUris(given, applicationType, customSchemes) : []
  checkResponseTypes(given)
  return {
    redirect_uris: uris,
    token_endpoint_auth_method:
      readOneOf(given, 'token_endpoint_auth_method', authMethods) ?? 'client_secret_basic',
    grant_types: types,
    response_types: ['code'],
    application_type: applicationType,
    ...readText(given, 'client_name'),
    ...readWebUri(given, 'client_uri'),
    ...(readBoolean(given, 'dpop_bound_access_tokens') && { dpop_bound_access_tokens: true }),
  }
}

function readRedirectUris(
  given: Record<string, unknown>,
  type: ApplicationType,
  customSchemes: readonly string[],
): readonly string[] {
  const uris = readStrings(given, 'redirect_uris')
  if (!uris || uris.length === 0) {
    throw new OAuthError('invalid_redirect_uri', 'redirect_uris must hold at least one URI.')
  }
  if (uris.length > mostRedirectUris) {
    throw new OAuthError(
      'invalid_redirect_uri',
      `redirect_uris holds more than ${mostRedirectUris}.`,
    )
  }
  for (const uri of uris) checkRedirectUri(uri, type, customSchemes)
  return [...new Set(uris)]
}

/** The default is both types, because clients that name none expect to refresh (MCP SDK v1). */
function readGrantTypes(
  given: Record<string, unknown>,
  served: readonly string[],
): readonly string[] {
  const wanted = readStrings(given, 'grant_types')
  if (!wanted) return grantTypes
  const kept = served.filter((type) => wanted.includes(type))
  if (kept.includes('authorization_code') || kept.includes(jwtBearerGrant)) return kept
  throw refusal("grant_types must include 'authorization_code'.")
}

function checkResponseTypes(given: Record<string, unknown>): void {
  const wanted = readStrings(given, 'response_types')
  if (wanted && !wanted.includes('code')) throw refusal("response_types must include 'code'.")
}

function readStrings(given: Record<string, unknown>, name: string): readonly string[] | undefined {
  const value = given[name]
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    throw refusal(`${name} must be an array of strings.`)
  }
  return value
}

function readOneOf<T extends string>(
  given: Record<string, unknown>,
  name: string,
  choices: readonly T[],
): T | undefined {
  const value = given[name]
  if (value === undefined || value === null) return undefined
  const choice = choices.find((candidate) => candidate === value)
  if (choice === undefined) throw refusal(`${name} must be one of: ${choices.join(', ')}.`)
  return choice
}

function readBoolean(given: Record<string, unknown>, name: string): boolean {
  const value = given[name] ?? false
  if (typeof value !== 'boolean') throw refusal(`${name} must be true or false.`)
  return value
}

function readText<N extends string>(
  given: Record<string, unknown>,
  name: N,
  longest = longestText,
): { [K in N]?: string } {
  const value = given[name]
  if (value === undefined || value === null || value === '') return {}
  if (typeof value !== 'string') throw refusal(`${name} must be a string.`)
  if (value.length > longest) throw refusal(`${name} is longer than ${longest} characters.`)
  if (value.includes('\0')) throw refusal(`${name} has a NUL character.`)
  return { [name]: value } as { [K in N]: string }
}

function readWebUri<N extends string>(
  given: Record<string, unknown>,
  name: N,
): { [K in N]?: string } {
  const found = readText(given, name, 2000)
  const value = found[name]
  if (value !== undefined && !(/^https?:\/\//i.test(value) && URL.canParse(value))) {
    throw refusal(`${name} must be a web URL.`)
  }
  return found
}

function refusal(why: string): OAuthError {
  return new OAuthError('invalid_client_metadata', why)
}
