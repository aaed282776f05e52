/** Random secrets, their hashes, and comparing them in constant time. */
import { createHash, hash, timingSafeEqual } from 'node:crypto'
import { randomBlock } from './random.js'

/** 256 random bits as 43 base64url characters. */
export function randomSecret(): string {
  return randomBlock(32).toString('base64url')
}

/** 128 random bits as 22 base64url characters: an identifier that is not secret. */
export function randomId(): string {
  return randomBlock(16).toString('base64url')
}

/** SHA-256 as base64url. */
export function sha256(text: string): string {
  return hash('sha256', text, 'base64url')
}

/** Whether two strings are equal. The time it takes does not depend on where they differ. */
export function constantTimeEqual(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
