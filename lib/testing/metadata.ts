/** Discovery and key documents, with exactly the members that Entra's have. */
import { type Authority, findAuthority } from './authority.js'
import type { Emulation } from './emulation.js'
import { json, type Reply, withHeaders } from './messages.js'
import { publishedJwk } from './signing-keys.js'

const consumersTenant = '9188040d-6c67-4c5b-b112-36a304b66dad'
const anyOrigin = { 'Access-Control-Allow-Origin': '*', 'Cache-Control': 'max-age=86400, private' }

/**
 * The discovery document. As at Entra, it has no registration endpoint, no revocation endpoint and no
 * `code_challenge_methods_supported`, although PKCE works.
 */
export function openidConfiguration(emulation: Emulation, segment: string, version: 1 | 2): Reply {
  const authority = findAuthority(emulation.directory, segment)
  const base = `${emulation.url}/${authority.id}`
  const path = version === 2 ? '/v2.0' : ''
  return withHeaders(
    json(200, {
      token_endpoint: `${base}/oauth2${path}/token`,
      token_endpoint_auth_methods_supported: [
        'client_secret_post',
        'private_key_jwt',
        'client_secret_basic',
      ],
      jwks_uri: `${base}/discovery${path}/keys`,
      response_modes_supported: ['query', 'fragment', 'form_post'],
      subject_types_supported: ['pairwise'],
      id_token_signing_alg_values_supported: ['RS256'],
      response_types_supported: ['code', 'id_token', 'code id_token', 'id_token token'],
      scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
      issuer: metadataIssuer(emulation, authority, version),
      request_uri_parameter_supported: false,
      userinfo_endpoint: 'https://graph.microsoft.com/oidc/userinfo',
      authorization_endpoint: `${base}/oauth2${path}/authorize`,
      device_authorization_endpoint: `${base}/oauth2${path}/devicecode`,
      http_logout_supported: true,
      frontchannel_logout_supported: true,
      end_session_endpoint: `${base}/oauth2${path}/logout`,
      claims_supported: claimsSupported,
      kerberos_endpoint: `${base}/kerberos`,
      tenant_region_scope: authority.kind === 'tenant' ? 'EU' : null,
      cloud_instance_name: 'microsoftonline.com',
      cloud_graph_host_name: 'graph.windows.net',
      msgraph_host: 'graph.microsoft.com',
      rbac_url: 'https://pas.windows.net',
    }),
    anyOrigin,
  )
}

/** The key document. Every key names its issuer and none names an algorithm. */
export function keyDocument(emulation: Emulation, segment: string): Reply {
  const authority = findAuthority(emulation.directory, segment)
  const issuer = authority.id === 'consumers' ? consumersIssuer(emulation) : emulation.keyIssuer
  const keys = emulation.keys.published.map((key) => publishedJwk(key, issuer))
  return withHeaders(json(200, { keys }), anyOrigin)
}

const claimsSupported = [
  'sub',
  'iss',
  'cloud_instance_name',
  'cloud_instance_host_name',
  'cloud_graph_host_name',
  'msgraph_host',
  'aud',
  'exp',
  'iat',
  'auth_time',
  'acr',
  'nonce',
  'preferred_username',
  'name',
  'tid',
  'ver',
  'at_hash',
  'c_hash',
  'email',
]

/** At /common and /organizations the issuer holds the literal `{tenantid}`. */
function metadataIssuer(emulation: Emulation, authority: Authority, version: 1 | 2): string {
  if (authority.id === 'consumers') return consumersIssuer(emulation)
  const tid = authority.kind === 'tenant' ? authority.id : '{tenantid}'
  return version === 1 ? `https://sts.windows.net/${tid}/` : `${emulation.url}/${tid}/v2.0`
}

function consumersIssuer({ url }: Emulation): string {
  return `${url}/${consumersTenant}/v2.0`
}
