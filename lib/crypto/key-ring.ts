/**
 * The key ring: every key the server needs is derived from the operator's `keys`, so replicas agree without sharing or
 * storing anything. The first key seals and signs; all of them open and verify.
 */
import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'
import { weaknessOf } from './weak-secret.js'

/** A public key in the JWK Set at `/jwks`. @see RFC 7517 */
export interface PublicJwk {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  readonly use: 'sig'
  readonly alg: 'ES256'
  readonly kid: string
}

/** One key of the ring, and the keys derived from it. */
export interface RingKey {
  /** Names the key in sealed boxes: 6 bytes, not secret. */
  readonly id: Buffer
  /** Names the key in boxes that 0.1 sealed. */
  readonly formerId: Buffer
  /** A 256-bit key for one purpose only. */
  derive(purpose: string): Buffer
  /** The ES256 key pair of our access tokens. */
  readonly signing: {
    readonly kid: string
    readonly privateKey: KeyObject
    readonly publicKey: KeyObject
    readonly jwk: PublicJwk
  }
}

/** The operator's keys in their order. A new key is last until every replica has it, and is first only then. */
export interface KeyRing {
  readonly current: RingKey
  readonly all: readonly RingKey[]
  /** The key that a sealed box names, if the ring still has it. */
  byId(id: Uint8Array): RingKey | undefined
  /** The key that a token names, if the ring still has it. */
  bySigningKid(kid: string): RingKey | undefined
}

/** 128 random bits take 22 characters in base64url, the shortest usual encoding. */
const shortestKey = 22

/**
 * Makes the ring.
 *
 * @param keys secrets of at least 128 bits each, for example from `openssl rand -base64 32`
 * @throws TypeError for an empty list, a short key, one that nobody drew at random (`changeme…`, `aaaa…`) or a duplicate
 */
export function keyRing(keys: readonly string[]): KeyRing {
  const all = readKeys(keys).map(ringKey)
  const [current] = all as [RingKey]
  const byId = new Map(
    all.flatMap((key) => [key.id, key.formerId].map((id) => [id.toString('hex'), key] as const)),
  )
  const byKid = new Map(all.map((key) => [key.signing.kid, key]))
  return Object.freeze({
    current,
    all,
    byId: (id: Uint8Array) => byId.get(Buffer.from(id).toString('hex')),
    bySigningKid: (kid: string) => byKid.get(kid),
  })
}

/** Blanks around a key come from lists and files (`first, second`) and are not part of it. */
function readKeys(keys: unknown): readonly string[] {
  const remedy = 'make one with `openssl rand -base64 32`'
  if (!Array.isArray(keys) || keys.length === 0) {
    throw new TypeError(`entraAuth: keys must hold at least one secret: ${remedy}`)
  }
  const trimmed = keys.map((key: unknown, index) => {
    const secret = typeof key === 'string' ? key.trim() : ''
    if (secret.length < shortestKey) {
      throw new TypeError(
        `entraAuth: keys[${index}] must be a random secret of at least ${shortestKey} characters (128 bits): ${remedy}`,
      )
    }
    const weakness = weaknessOf(secret)
    if (weakness === undefined) return secret
    throw new TypeError(`entraAuth: keys[${index}] is not random: ${weakness}: ${remedy}`)
  })
  if (new Set(trimmed).size !== trimmed.length) {
    throw new TypeError('entraAuth: keys holds the same secret twice')
  }
  return trimmed
}

function ringKey(secret: string): RingKey {
  const derived = new Map<string, Buffer>()
  const derive = (purpose: string) => {
    const known = derived.get(purpose)
    if (known) return known
    const key = expand(secret, purpose, 32)
    derived.set(purpose, key)
    return key
  }
  return Object.freeze({
    id: expand(secret, 'key id v2', 6),
    formerId: expand(secret, 'key id', 6),
    derive,
    signing: signingPair(expand(secret, 'access token signing', 48)),
  })
}

function expand(secret: string, purpose: string, length: number): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'mcp-entra key ring v1', purpose, length))
}

/** The order of P-256. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** A P-256 key pair from 384 uniform bits. @see FIPS 186-5 appendix A.2.1 (extra random bits) */
function signingPair(seed: Buffer): RingKey['signing'] {
  const scalar = (BigInt(`0x${seed.toString('hex')}`) % (order - 1n)) + 1n
  const d = Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex')
  const ecdh = createECDH('prime256v1')
  ecdh.setPrivateKey(d)
  const point = ecdh.getPublicKey()
  const curve = {
    kty: 'EC',
    crv: 'P-256',
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  } as const
  const kid = thumbprint(curve)
  return Object.freeze({
    kid,
    privateKey: createPrivateKey({ key: { ...curve, d: d.toString('base64url') }, format: 'jwk' }),
    publicKey: createPublicKey({ key: curve, format: 'jwk' }),
    jwk: Object.freeze({ ...curve, use: 'sig', alg: 'ES256', kid }),
  })
}

/** @see RFC 7638 section 3: required members only, in lexical order */
function thumbprint({
  crv,
  kty,
  x,
  y,
}: {
  crv: string
  kty: string
  x: string
  y: string
}): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
}
