/** Clients that authenticate with a signed JWT: by their certificate, or with the token of a federated identity. */
import { constants, createHash, verify, X509Certificate } from 'node:crypto'
import { checkAgentAssertion } from './agent-assertion.js'
import type { Authority } from './authority.js'
import { issuerOf, servicePrincipalId } from './claims.js'
import type { EntraApp } from './directory.js'
import type { Emulation } from './emulation.js'
import { refuse, required } from './errors.js'
import { hasValidSignature, type JsonObject, type ReadJwt, readJwt } from './jwt.js'
import type { Params } from './messages.js'
import type { EntraFederatedCredentialOptions } from './options.js'

const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/**
 * Checks `client_assertion`: signed by a certificate of the app when its header names one, otherwise a
 * token of a federated identity.
 *
 * @see RFC 7523 section 3, Microsoft identity platform "application authentication certificate credentials"
 */
export function checkAssertion(
  emulation: Emulation,
  authority: Authority,
  app: EntraApp,
  params: Params,
): void {
  const type = required(params, 'client_assertion_type')
  if (type !== assertionType) refuse(90014, `'${type}' is not a supported client_assertion_type.`)
  const jwt = readJwt(required(params, 'client_assertion'))
  if (!jwt) {
    return refuse(50027, 'JWT token is invalid or malformed.', {
      error: 'invalid_client',
      status: 401,
    })
  }
  if (Array.isArray(jwt.claims.aud) && jwt.claims.aud.length > 1) {
    refuse(5002741, 'The client assertion must have a single audience.')
  }
  if (app.blueprint !== undefined) {
    checkAgentAssertion(emulation, authority, app, jwt)
    return checkTime(emulation, jwt.claims)
  }
  const isCertificate = 'x5t' in jwt.header || 'x5t#S256' in jwt.header
  if (isCertificate) checkCertificate(emulation, authority, app, jwt)
  else checkFederation(emulation, app, jwt)
  checkTime(emulation, jwt.claims)
}

function checkCertificate(
  { url }: Emulation,
  authority: Authority,
  { clientId, certificates }: EntraApp,
  jwt: ReadJwt,
): void {
  const { iss, sub, aud } = jwt.claims
  const certificate = certificates
    .map((pem) => new X509Certificate(pem))
    .find((candidate) => isNamed(candidate, jwt.header))
  if (!certificate) {
    return refuse(
      700027,
      `The certificate with identifier used to sign the client assertion is not registered on application '${clientId}'.`,
    )
  }
  if (!isSignedBy(certificate, jwt)) refuse(700027, 'Client assertion failed signature validation.')
  if (iss !== clientId || sub !== clientId) {
    refuse(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
  }
  const [audience] = [aud].flat()
  if (audience === `${url}/${authority.id}/oauth2/v2.0/token`) return
  refuse(700023, `Client assertion audience claim does not match Realm issuer: '${audience}'.`)
}

function isNamed({ raw }: X509Certificate, header: JsonObject): boolean {
  const thumbprint = (hash: string) => createHash(hash).update(raw).digest('base64url')
  return header['x5t#S256'] === thumbprint('sha256') || header.x5t === thumbprint('sha1')
}

function isSignedBy({ publicKey }: X509Certificate, { header, token }: ReadJwt): boolean {
  const end = token.lastIndexOf('.')
  const padding =
    header.alg === 'PS256' ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING
  if (header.alg !== 'PS256' && header.alg !== 'RS256') return false
  const signature = Buffer.from(token.slice(end + 1), 'base64url')
  return verify('sha256', Buffer.from(token.slice(0, end)), { key: publicKey, padding }, signature)
}

/** Issuer, subject and audience must match exactly. Each has its own error. */
function checkFederation(emulation: Emulation, app: EntraApp, jwt: ReadJwt): void {
  const { iss, sub, aud } = jwt.claims
  const none = 'No matching federated identity record found for presented assertion'
  const own = issuerOf(emulation, app.tenantId, 2)
  const ofIssuer = app.federatedCredentials.filter(({ issuer = own }) => issuer === iss)
  if (ofIssuer.length === 0) refuse(700211, `${none} issuer '${iss}'.`)
  const ofSubject = ofIssuer.filter(({ subject }) => subject === sub)
  if (ofSubject.length === 0) refuseSubject(ofIssuer, String(sub))
  const [audience] = [aud].flat()
  if (!ofSubject.some((credential) => audienceOf(credential) === audience)) {
    refuse(700212, `${none} audience '${audience}'.`)
  }
  checkIssuerSignature(emulation, jwt)
}

function refuseSubject(
  credentials: readonly EntraFederatedCredentialOptions[],
  sub: string,
): never {
  const lower = sub.toLowerCase()
  const nearly = credentials.some(({ subject }) => subject.toLowerCase() === lower)
  const none = 'No matching federated identity record found for presented assertion'
  if (!nearly) return refuse(700213, `${none} subject '${sub}'.`)
  return refuse(7002138, `${none} subject '${sub}': the comparison is case-sensitive.`)
}

function audienceOf({ audience = 'api://AzureADTokenExchange' }: EntraFederatedCredentialOptions) {
  return audience
}

/**
 * The emulator checks signatures of its own keys and trusts other issuers. Of Entra's own tokens it accepts only those
 * of managed identities, not those of a user or an app registration.
 */
function checkIssuerSignature(emulation: Emulation, jwt: ReadJwt): void {
  const { iss, tid, idtyp, azp, sub } = jwt.claims
  const own = [1, 2].some(
    (version) => iss === issuerOf(emulation, String(tid), version === 1 ? 1 : 2),
  )
  if (!own) return
  if (!hasValidSignature(jwt, emulation.keys.published)) {
    refuse(700027, 'Client assertion failed signature validation.')
  }
  if (idtyp !== 'app') {
    refuse(700229, 'Only app-only tokens can be used as Federated Identity Credentials.')
  }
  const client = emulation.directory.app(String(azp))
  if (!client || client.principalId !== undefined) return
  if (sub !== servicePrincipalId(client, String(tid))) return
  refuse(700222, 'AAD-issued tokens may not be used for federated identity flows.')
}

/** Clocks of clients differ: Entra allows five minutes either way. */
const skew = 300

function checkTime({ clock }: Emulation, { nbf = 0, exp }: JsonObject): void {
  const now = clock.now()
  if (Number(nbf) <= now + skew && now < Number(exp) + skew) return
  refuse(700024, 'Client assertion is not within its valid time range.')
}
