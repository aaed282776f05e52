/** How the app registration authenticates to Entra, the same on every leg: code, refresh, on-behalf-of. */

import { isGuid } from './authority.js'

/** What a credential may need to know. */
export interface CredentialContext {
  readonly clientId: string
  /** The token endpoint, which is the audience of an assertion the app signs itself. */
  readonly tokenEndpoint: string
  /** The audience of an assertion that another identity provider signs, such as `api://AzureADTokenExchange`. */
  readonly exchangeAudience: string
  /** The assertion that Entra has just refused as outdated (AADSTS700024). Another one is needed. */
  readonly rejected?: string
}

/** A proof: the secret itself, or a signed JWT (RFC 7523 section 2.2). */
export type ClientProof =
  | { readonly secret: string }
  | {
      readonly assertion: string
      /** The client that the assertion proves, when it is not the app itself: see {@link agentCredential}. */
      readonly clientId?: string
    }

/**
 * Returns a proof. It is called for each request to Entra and does its own caching. `clientSecret`,
 * `clientCertificate`, `managedIdentity`, `workloadIdentity`, `federatedCredential`, `clientAssertion` and
 * `agentCredential` make credentials.
 */
export type ClientCredential = (context: CredentialContext) => ClientProof | Promise<ClientProof>

/** @throws TypeError for anything that is not a credential; it says what to do about a bare secret or a `TokenCredential` */
export function checkCredential(credential: ClientCredential): void {
  if (typeof credential === 'function') return
  const remedy = isTokenCredential(credential)
    ? 'wrap the one of @azure/identity: federatedCredential(…)'
    : "make one with clientSecret('…'), clientCertificate({…}), managedIdentity() or another of these functions"
  throw new TypeError(`entraAuth: credential is not a ClientCredential: ${remedy}`)
}

function isTokenCredential(credential: unknown): boolean {
  return typeof credential === 'object' && credential !== null && 'getToken' in credential
}

/**
 * A client secret. It is kept in a closure, so neither `JSON.stringify` nor `util.inspect` shows it.
 *
 * @param secret the "Value" column of Certificates & secrets, not the Secret ID
 * @throws TypeError for an empty secret, one with white space around it, or a GUID, which is the Secret ID
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
  if (isGuid(secret)) {
    throw new TypeError(
      'clientSecret: this is a GUID, as the "Secret ID" of Certificates & secrets is: give the "Value" beside it, or make a new secret if it is no longer shown',
    )
  }
  const proof = Object.freeze({ secret })
  return function clientSecretCredential() {
    return proof
  }
}
