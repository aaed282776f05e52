/** The metadata document of the authorization server. */
import { assertionAlgorithms } from '../oauth/client-keys.js'
import { allGrantTypes, authMethods, grantTypes } from '../oauth/client-metadata.js'
import { proofAlgorithms } from '../oauth/dpop.js'
import { idJagProfile } from '../oauth/id-jag.js'
import type { ProxyContext } from './context.js'

/**
 * @see RFC 8414 section 2, RFC 9449 section 5.1, RFC 9207 section 3,
 *   draft-ietf-oauth-client-id-metadata-document-00 section 5,
 *   draft-ietf-oauth-identity-assertion-authz-grant-04 section 7.2
 */
export function authorizationServerMetadata({
  baseUrl,
  scopes,
  features,
  looks,
  dpop,
}: Pick<ProxyContext, 'baseUrl' | 'scopes' | 'features' | 'looks' | 'dpop'>) {
  const { registration, documents, assertions, identityAssertions } = features
  const methods = assertions ? [...authMethods, 'private_key_jwt'] : authMethods
  return {
    issuer: baseUrl,
    authorization_endpoint: `${baseUrl}/authorize`,
    token_endpoint: `${baseUrl}/token`,
    ...(registration && { registration_endpoint: `${baseUrl}/register` }),
    revocation_endpoint: `${baseUrl}/revoke`,
    jwks_uri: `${baseUrl}/jwks`,
    // Without offline_access: clients that see it here ask for it with prompt=consent, and Entra then shows its own
    // consent page at every login. Refresh tokens are issued anyway.
    scopes_supported: scopes.supported,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: identityAssertions ? allGrantTypes : grantTypes,
    ...(identityAssertions && { authorization_grant_profiles_supported: [idJagProfile] }),
    token_endpoint_auth_methods_supported: methods,
    revocation_endpoint_auth_methods_supported: methods,
    ...(assertions && {
      token_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
      revocation_endpoint_auth_signing_alg_values_supported: assertionAlgorithms,
    }),
    ...(documents && { client_id_metadata_document_supported: true }),
    code_challenge_methods_supported: ['S256'],
    ...(dpop && { dpop_signing_alg_values_supported: proofAlgorithms }),
    authorization_response_iss_parameter_supported: true,
    ui_locales_supported: looks.languages,
  }
}
