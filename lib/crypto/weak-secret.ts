/**
 * Secrets that somebody typed. Nothing can tell how a text was made, but what a generator makes has none of these
 * patterns: the likeliest of them to come about by chance does so once in ten million keys.
 */

/** Fewest different characters. A key of 32 random hex digits has 14 of them, and fewer than 8 in 1 of 10^7. */
const fewestCharacters = 8

/** What people leave in a configuration, or paste in place of what the command prints. */
const placeholder =
  /change[-_ ]?(?:me|this|it)|password|your[-_ ](?:key|secret)|openssl rand|^<.*>$/i

/**
 * Says why a text of enough characters is no secret of 128 bits: `it repeats itself`.
 *
 * @returns undefined when nothing speaks against it
 */
export function weaknessOf(secret: string): string | undefined {
  if (placeholder.test(secret)) return 'it is a placeholder'
  if (new Set(secret).size < fewestCharacters) return 'it has too few different characters'
  if (repeats(secret)) return 'it repeats itself'
  // 32 digits may be hex digits by chance: one key of 128 bits in three million has no letter.
  if (/^\d+$/.test(secret) && secret.length < 32) return 'so few digits hold less than 128 bits'
  if (/^[\da-f]+$/i.test(secret) && secret.length < 32)
    return 'so few hex digits hold less than 128 bits'
  return undefined
}

/** Longest word whose repetition counts as no secret: longer ones may well be. */
const longestWord = 13

/** Whether it is one word twice or more, the last of them perhaps cut short. */
function repeats(secret: string): boolean {
  for (let period = 1; period <= Math.min(longestWord, secret.length / 2); period += 1) {
    if (secret.startsWith(secret.slice(period))) return true
  }
  return false
}
