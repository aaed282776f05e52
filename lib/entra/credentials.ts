/** How the app registration proves itself to Entra, the same on every leg: code, refresh, on-behalf-of. */

/** What a proof may need to know. */
export interface CredentialContext {
  readonly clientId: string
  /** The token endpoint, which is the audience of an assertion the app signs itself. */
  readonly tokenEndpoint: string
  /** The audience of an assertion that another identity provider signs, `api://AzureADTokenExchange` or its like. */
  readonly exchangeAudience: string
  /** The assertion Entra has just refused as outdated (AADSTS700024): another one is wanted. */
  readonly rejected?: string
}

/** A proof: the secret itself, or a signed JWT (RFC 7523 section 2.2). */
export type ClientProof = { readonly secret: string } | { readonly assertion: string }

/**
 * Makes a proof, once for each request to Entra: it caches what is worth caching. `clientSecret`,
 * `clientCertificate`, `managedIdentity`, `workloadIdentity`, `federatedCredential` and `clientAssertion` make one.
 */
export type ClientCredential = (context: CredentialContext) => ClientProof | Promise<ClientProof>

/** @throws TypeError for what is no credential, with what to do about a bare secret or a `TokenCredential` */
export function checkCredential(credential: ClientCredential): void {
  if (typeof credential === 'function') return
  const remedy = isTokenCredential(credential)
    ? 'wrap the one of @azure/identity: federatedCredential(…)'
    : "make one with clientSecret('…'), clientCertificate({…}), managedIdentity() or their like"
  throw new TypeError(`entraAuth: credential is not a ClientCredential: ${remedy}`)
}

function isTokenCredential(credential: unknown): boolean {
  return typeof credential === 'object' && credential !== null && 'getToken' in credential
}

/**
 * A client secret. It lives in a closure: neither `JSON.stringify` nor `util.inspect` shows it.
 *
 * @param secret the column "Value" of Certificates & secrets, not the Secret ID
 * @throws TypeError for an empty secret, or one with white space around it
 * @example
 * entraAuth({ credential: clientSecret(process.env.ENTRA_CLIENT_SECRET), ... })
 */
export function clientSecret(secret: string): ClientCredential {
  if (typeof secret !== 'string' || secret.trim() === '') {
    throw new TypeError(
      'clientSecret: the secret is empty: give the "Value" of Certificates & secrets',
    )
  }
  if (secret !== secret.trim()) {
    throw new TypeError(
      'clientSecret: the secret has white space around it: trim it, as after reading a file',
    )
  }
  const proof = Object.freeze({ secret })
  return function clientSecretCredential() {
    return proof
  }
}
