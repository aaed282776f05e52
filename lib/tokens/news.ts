/**
 * News: one small record that changes whenever access ends anywhere. A gate that has seen no news in the last second
 * knows that the grants it looked at are as they were, without looking at each of them again.
 */
import type { Clock } from '../async/clock.js'
import { singleFlight } from '../async/single-flight.js'
import { randomId } from '../crypto/hashing.js'
import type { Vault } from '../storage/vault.js'

/** One record of news: a text that is another one after every event. */
export interface News {
  /** The news, if they were read within the last second. */
  recall(): string | undefined
  /** The news, at most a second old. @throws OAuthError 503 */
  read(): Promise<string>
  /** When the latest event was, in seconds since the epoch: 0 if there was none. @throws OAuthError 503 */
  latest(): Promise<number>
  /**
   * Tells every replica, within a second, of an event now.
   *
   * @param notBefore the event before it: the clock of whoever told of that may be ahead
   * @throws OAuthError 503
   */
  publish(notBefore?: number): Promise<void>
}

/** What it takes to keep news. */
export interface NewsOptions {
  readonly vault: Vault
  /** Which record. */
  readonly subject: string
  /** Seconds for which the record is kept: as long as the latest event may matter. */
  readonly lifetime: number
  readonly now: Clock
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: Clock
}

/** Milliseconds for which what was read is taken to be the latest. */
const freshFor = 1000

/**
 * A store that has lost its records has no news either. New ones are written then, so that every gate looks at its
 * grants again.
 */
export function news({ vault, subject, lifetime, now, monotonic }: NewsOptions): News {
  const notes = vault.notes('news')
  const flights = singleFlight<string>()
  let published = 0
  let known: { readonly text: string; readonly readAt: number } | undefined

  const recall = () => (known && monotonic() - known.readAt < freshFor ? known.text : undefined)

  const readStore = async () => {
    const [readAt, before] = [monotonic(), published]
    const text = (await notes.get(subject)) ?? (await begin())
    if (published === before) known = { text, readAt }
    return text
  }

  const begin = async () => {
    const first = newsText(0)
    try {
      if (await notes.add(subject, first, lifetime)) return first
    } catch {
      // A store that is full can still be read.
      return noNews
    }
    return (await notes.get(subject)) ?? noNews
  }

  const read = async () => recall() ?? flights.run(subject, readStore)

  return Object.freeze({
    recall,
    read,
    latest: async () => timeOf(await read()),
    async publish(notBefore = 0) {
      await notes.set(subject, newsText(Math.max(now() / 1000, notBefore)), lifetime)
      published += 1
      known = undefined
    },
  })
}

const noNews = '0 none'

function newsText(seconds: number): string {
  return `${seconds} ${randomId()}`
}

function timeOf(text: string): number {
  return Number.parseFloat(text)
}
