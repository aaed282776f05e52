/** What a command sees of the world: tests hand in their own. */
import type { Readable } from 'node:stream'

/** Streams, environment and clock of one run. */
export interface Io {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined }
  /** The answer: what another program may read. */
  out(text: string): void
  /** Everything else: questions, notes, complaints. */
  err(text: string): void
  /** Milliseconds since the epoch. */
  now(): number
  /** From now on Ctrl-C does not end the process, but aborts this signal. */
  onInterrupt(): AbortSignal
}

/** Makes one line of a text that a stranger may have written: no control characters reach the terminal. */
export function oneLine(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ').trim()
}
