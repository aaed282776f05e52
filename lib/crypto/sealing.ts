/**
 * Sealed boxes: encrypted and authenticated state that clients and browsers carry for us (client ids, forms, cookies)
 * or that a store keeps.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { KeyRing } from './key-ring.js'

const idLength = 6
const saltLength = 16
const tagLength = 16

/** What a box is for, and what is needed to open it. */
export interface SealContext {
  /** A box only opens for the purpose it was sealed for. */
  readonly purpose: string
  /** Not in the box, but needed unchanged to open it. */
  readonly boundTo?: string
  /** A secret of the holder that goes into the key, so that the key ring alone cannot open the box. */
  readonly secret?: string
}

/**
 * Seals bytes under the ring's current key: `key id | salt | ciphertext | tag`, AES-256-GCM.
 * Key and nonce are derived from a new 128-bit salt, so there is no limit on the number of boxes.
 */
export function seal(ring: KeyRing, context: SealContext, plain: Uint8Array): Buffer {
  const salt = randomBytes(saltLength)
  const { key, nonce } = boxKey(ring.current.derive(context.purpose), salt, context)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  cipher.setAAD(boundTo(context))
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return Buffer.concat([ring.current.id, salt, body, cipher.getAuthTag()])
}

/** @returns what was sealed; undefined when the box, the context or the key is not the same */
export function open(ring: KeyRing, context: SealContext, box: Uint8Array): Buffer | undefined {
  if (box.length < idLength + saltLength + tagLength) return undefined
  const ringKey = ring.byId(box.subarray(0, idLength))
  if (!ringKey) return undefined
  const salt = box.subarray(idLength, idLength + saltLength)
  const { key, nonce } = boxKey(ringKey.derive(context.purpose), salt, context)
  const decipher = createDecipheriv('aes-256-gcm', key, nonce)
  decipher.setAAD(boundTo(context))
  decipher.setAuthTag(box.subarray(box.length - tagLength))
  try {
    const body = box.subarray(idLength + saltLength, box.length - tagLength)
    return Buffer.concat([decipher.update(body), decipher.final()])
  } catch {
    return undefined
  }
}

/** {@link seal} for a JSON value, as base64url text. */
export function sealJson(ring: KeyRing, context: SealContext, value: unknown): string {
  return seal(ring, context, Buffer.from(JSON.stringify(value))).toString('base64url')
}

const base64url = /^[A-Za-z0-9_-]+$/

/** {@link open} for {@link sealJson}. Only the canonical base64url spelling opens, so a box has one spelling only. */
export function openJson(ring: KeyRing, context: SealContext, text: string): unknown {
  if (!base64url.test(text)) return undefined
  const box = Buffer.from(text, 'base64url')
  if (box.toString('base64url') !== text) return undefined
  const plain = open(ring, context, box)
  return plain && (JSON.parse(plain.toString('utf8')) as unknown)
}

function boxKey(base: Buffer, salt: Uint8Array, { purpose, secret = '' }: SealContext) {
  const input = Buffer.concat([base, Buffer.from(secret)])
  const okm = Buffer.from(hkdfSync('sha256', input, salt, `mcp-entra box v1 ${purpose}`, 44))
  return { key: okm.subarray(0, 32), nonce: okm.subarray(32) }
}

function boundTo({ purpose, boundTo = '' }: SealContext): Buffer {
  return Buffer.from(`${purpose}\0${boundTo}`)
}
