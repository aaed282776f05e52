/** The signing keys: which one signs, which are published, and how they are rotated. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
} from 'node:crypto'
import { promisify } from 'node:util'

/** An RSA key pair and its id. */
export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/** A key as Entra publishes it: with an `issuer`, without an `alg`. */
export interface PublishedJwk {
  readonly kty: 'RSA'
  readonly use: 'sig'
  readonly kid: string
  readonly x5t: string
  readonly n: string
  readonly e: string
  readonly issuer: string
}

/** The emulator's keys. */
export interface SigningKeys {
  /** The key that signs. */
  readonly current: SigningKey
  /** All published keys, the current one first. */
  readonly published: readonly SigningKey[]
  /** A key that is published nowhere. */
  readonly foreign: SigningKey
  rotate(options?: { readonly keepOld?: boolean }): Promise<void>
}

/**
 * Makes two published keys, as Entra has at any time, and a foreign one.
 *
 * @param pems keys to use before new ones are made
 * @throws TypeError for anything that is not an RSA private key
 */
export async function createSigningKeys(pems: readonly string[] = []): Promise<SigningKeys> {
  const given = pems.map(readKey)
  const nextKey = async () => given.shift() ?? newKey()
  const [first, spare, foreign] = await Promise.all([nextKey(), nextKey(), nextKey()])
  let current = first
  let others = [spare]
  return {
    get current() {
      return current
    },
    get published() {
      return [current, ...others]
    },
    foreign,
    async rotate({ keepOld = true } = {}) {
      const next = await nextKey()
      if (keepOld) others = [current, ...others]
      current = next
    },
  }
}

/** The public half of a key as it stands in Entra's key document. */
export function publishedJwk({ kid, publicKey }: SigningKey, issuer: string): PublishedJwk {
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' })
  return { kty: 'RSA', use: 'sig', kid, x5t: kid, n, e, issuer }
}

const generate = promisify(generateKeyPair)

async function newKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generate('rsa', { modulusLength: 2048 })
  return withKeyId(privateKey, publicKey)
}

function readKey(pem: string): SigningKey {
  try {
    const privateKey = createPrivateKey(pem)
    if (privateKey.asymmetricKeyType === 'rsa') return withKeyId(privateKey, createPublicKey(pem))
  } catch {
    // No cause: OpenSSL's message may contain parts of the key.
  }
  throw new TypeError('startEntra: signingKeys must be RSA private keys in PEM')
}

function withKeyId(privateKey: KeyObject, publicKey: KeyObject): SigningKey {
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return { kid: createHash('sha1').update(der).digest('base64url'), privateKey, publicKey }
}
