/** What an error of somebody else's code says, made fit for a log: such a message may quote a whole request. */

/** Longest text, in characters. */
const longest = 400
/** Characters that are looked at. */
const mostRead = 20_000
const hidden = '[hidden]'

/**
 * An error's own message in one line, shortened, and without what could be a secret: JWTs, what follows
 * `Bearer` or `Basic`, and runs of 40 characters or more that no word or id is as long as.
 *
 * Credentials of `@azure/identity` need it: `AzurePipelinesCredential` of 4.13 puts the pipeline's access token
 * into the message when the service answers without a token.
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

/** By its shape: an error may come from another realm, and then it is no instance of this one's `Error`. */
function messageOf(cause: unknown): string {
  if (typeof cause !== 'object' || cause === null || !('message' in cause)) return ''
  return typeof cause.message === 'string' ? cause.message : ''
}
