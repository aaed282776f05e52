/** Ids that people read to each other. */
import { randomBlock } from './random.js'

/** Digits and letters that cannot be taken for each other. @see Crockford's Base32 */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'

/** 40 random bits as `7K3F-9QXD`: an id that is no secret. */
export function randomReference(): string {
  const characters = [...randomBlock(8)].map((byte) => alphabet[byte & 31])
  return `${characters.slice(0, 4).join('')}-${characters.slice(4).join('')}`
}
