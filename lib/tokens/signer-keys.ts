/** The one key of a set with which a JWT says that it was signed: of clients, and of identity providers. */
import { type CryptoKey, importJWK } from 'jose'
import { type AssertionAlgorithm, algorithmOf, type ClientKey } from '../oauth/client-keys.js'

/** What the header of a JWT says about its key. */
export interface SignerHeader {
  readonly alg: AssertionAlgorithm
  readonly kid: string | undefined
}

/**
 * At most one key: a signer who could make us try several would multiply the cost of a bad signature.
 *
 * @param ambiguous makes the error for a header that fits several keys
 */
export function selectKey(
  keys: readonly ClientKey[],
  { alg, kid }: SignerHeader,
  ambiguous: (kid: string | undefined) => Error,
): ClientKey | undefined {
  const [only, ...others] = keys.filter(
    (key) => algorithmOf(key) === alg && (kid === undefined || key.kid === kid),
  )
  if (others.length === 0) return only
  throw ambiguous(kid)
}

/** Imported keys, kept for as long as the key set they belong to. */
const imported = new WeakMap<ClientKey, Promise<CryptoKey | Uint8Array>>()

/** The key in the form that `jose` verifies with. Rejects for one that is none, such as a point off its curve. */
export function importKey(key: ClientKey): Promise<CryptoKey | Uint8Array> {
  const importing = imported.get(key) ?? importJWK({ ...key }, algorithmOf(key))
  imported.set(key, importing)
  return importing
}
