/** Errors of the Redis store. An error names the operation and the reason, never a key or a value. */

/** An operation that had no answer within its deadline. */
export class Late extends Error {
  override readonly name = 'Late'
}

/** There is no connection. The message is in our own words and safe to log. */
export class Offline extends Error {
  override readonly name = 'Offline'
}

/** What to do about errors of the server that do not go away by themselves. */
const remedies: Readonly<Record<string, string>> = {
  ERR: 'the server does not know the command, or forbids it: Redis 6.2 or newer is needed, or EVAL',
  NOAUTH: 'the server wants a password',
  WRONGPASS: 'the server does not accept user name and password',
  NOPERM: 'the user needs +get +set +getdel +eval on the keys of the prefix',
  OOM: 'the server is out of memory: raise maxmemory',
  MISCONF: 'the server cannot write its snapshot and refuses writes: see its log',
  READONLY: 'the server is a replica: connect to the primary',
  WRONGTYPE: 'a key under the prefix is not ours: choose another prefix',
}

/** The error for the caller. The client's own message is left out, because Redis quotes keys and values in some. */
export function outage(operation: string, error: unknown): Error {
  return new Error(`redisStorage: ${operation} failed: ${reason(error)}`)
}

/** Why an operation failed, in words that are safe to log. */
export function reason(error: unknown): string {
  if (error instanceof Late || error instanceof Offline) return error.message
  const { message = '', code, name } = (error ?? {}) as Partial<NodeJS.ErrnoException>
  const reply = /^([A-Z]{2,})(?: |$)/.exec(message)?.[1]
  if (reply) return remedies[reply] ? `${reply} (${remedies[reply]})` : reply
  return typeof code === 'string' ? code : (name ?? 'unknown')
}
