/** Makes the messages of foreign errors safe to log: such a message may quote a whole request. */

/** Longest text, in characters. */
const longest = 400
/** Number of characters that are read. */
const mostRead = 20_000
const hidden = '[hidden]'

/**
 * An error's own message in one line, shortened, and without anything that could be a secret: JWTs, what follows
 * `Bearer` or `Basic`, and runs of 40 characters or more, which are longer than any word or id.
 *
 * Credentials of `@azure/identity` need this: `AzurePipelinesCredential` of 4.13 puts the pipeline's access token into
 * the message when the service answers without a token.
 */
export function causeText(cause: unknown): string {
  const message = typeof cause === 'string' ? cause : messageOf(cause)
  const text = message
    .slice(0, mostRead)
    .replace(/[\s\p{C}]+/gu, ' ')
    .replace(/eyJ[\w.-]+/g, hidden)
    .replace(/\b(bearer|basic) +[^\s"',;}]+/gi, `$1 ${hidden}`)
    .replace(/[\w~+=-]{40,}/g, hidden)
    .trim()
  if (text === '') return 'no message'
  return text.length > longest ? `${text.slice(0, longest)}…` : text
}

/** Checks the shape: an error of another realm is not an instance of this realm's `Error`. */
function messageOf(cause: unknown): string {
  if (typeof cause !== 'object' || cause === null || !('message' in cause)) return ''
  return typeof cause.message === 'string' ? cause.message : ''
}
