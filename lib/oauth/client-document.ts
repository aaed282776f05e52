/** Client ID Metadata Documents: reads a client's registration from its document. */
import { assertionAlgorithms, readKeySet } from './client-keys.js'
import { allGrantTypes, type ClientMetadata, readClientMetadata } from './client-metadata.js'
import { OAuthError } from './errors.js'
import { type ApplicationType, checkRedirectUri } from './redirect-uri.js'

/**
 * Reads the document found at a client id. Redirect URIs that this server does not allow are left out, because one
 * document serves many servers. A document with no other redirect URIs is refused.
 *
 * @throws OAuthError `invalid_client` that says what is wrong with the document
 * @see draft-ietf-oauth-client-id-metadata-document-00 section 4
 */
export function readClientDocument(
  clientId: string,
  document: unknown,
  customSchemes: readonly string[],
): ClientMetadata {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw refusal('is not a JSON object')
  }
  const given = document as Record<string, unknown>
  if (given.client_id !== clientId) throw refusal("has another 'client_id' than its own URL")
  if (typeof given.client_name !== 'string' || given.client_name.trim() === '') {
    throw refusal("has no 'client_name'")
  }
  const secret = Object.keys(given).find((name) => name.startsWith('client_secret'))
  if (secret !== undefined)
    throw refusal(`has a '${secret.slice(0, 64)}', and everybody can read it`)
  const method = readMethod(given)
  const metadata = readSharedMembers(given, customSchemes)
  if (method === 'none') return metadata
  return { ...metadata, token_endpoint_auth_method: method, ...readKeys(given) }
}

/** Reads the members that a document shares with a registration. */
function readSharedMembers(
  given: Record<string, unknown>,
  customSchemes: readonly string[],
): ClientMetadata {
  const { redirect_uris } = given
  if (!Array.isArray(redirect_uris) || redirect_uris.length === 0) {
    throw refusal("has no 'redirect_uris'")
  }
  const type = given.application_type === 'web' ? 'web' : 'native'
  try {
    return readClientMetadata(
      {
        ...given,
        redirect_uris: allowedUris(redirect_uris, type, customSchemes),
        token_endpoint_auth_method: 'none',
      },
      customSchemes,
      allGrantTypes,
    )
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    throw new OAuthError('invalid_client', `The client's document: ${error.description}`, {
      cause: error,
    })
  }
}

/** The URIs that are allowed here, or all of them if there is none, so that the error gives the reason. */
function allowedUris(
  uris: readonly unknown[],
  type: ApplicationType,
  customSchemes: readonly string[],
): readonly unknown[] {
  const allowed = uris.filter((uri) => {
    if (typeof uri !== 'string') return true
    try {
      checkRedirectUri(uri, type, customSchemes)
      return true
    } catch {
      return false
    }
  })
  return allowed.length > 0 ? allowed : uris
}

/** Absent means a public client: the default of RFC 7591 is a shared secret, which a public document cannot have. */
function readMethod(given: Record<string, unknown>): 'none' | 'private_key_jwt' {
  const { token_endpoint_auth_method: method = 'none' } = given
  if (method === 'none' || method === 'private_key_jwt') return method
  throw refusal("must have 'none' or 'private_key_jwt' as 'token_endpoint_auth_method'")
}

/**
 * Reads the keys of a client with `private_key_jwt`, or where they are, and the algorithm that it binds itself to.
 *
 * @throws OAuthError `invalid_client`
 * @see RFC 7591 section 2
 */
export function readKeys(
  given: Record<string, unknown>,
): Pick<ClientMetadata, 'jwks' | 'jwks_uri' | 'token_endpoint_auth_signing_alg'> {
  const { jwks, jwks_uri, token_endpoint_auth_signing_alg: named } = given
  if ((jwks === undefined) === (jwks_uri === undefined)) {
    throw refusal("must have one of 'jwks' and 'jwks_uri'")
  }
  const algorithm = assertionAlgorithms.find((one) => one === named)
  if (named !== undefined && algorithm === undefined) {
    throw refusal(
      `must have one of ${assertionAlgorithms.join(', ')} as 'token_endpoint_auth_signing_alg'`,
    )
  }
  return {
    ...(jwks === undefined ? { jwks_uri: readKeysUri(jwks_uri) } : { jwks: readKeySet(jwks) }),
    ...(algorithm !== undefined && { token_endpoint_auth_signing_alg: algorithm }),
  }
}

function readKeysUri(uri: unknown): string {
  if (typeof uri !== 'string' || uri.length > 2048 || !/^https:\/\/[^/?#]/.test(uri)) {
    throw refusal("must have an https URL as 'jwks_uri'")
  }
  if (!URL.canParse(uri) || uri.includes('#') || /^https:\/\/[^/?]*@/.test(uri)) {
    throw refusal("must have a 'jwks_uri' without userinfo and fragment")
  }
  return uri
}

function refusal(why: string): OAuthError {
  return new OAuthError('invalid_client', `The client's document ${why}.`)
}
