/**
 * News: one small record that changes whenever access ends anywhere. A gate that has seen no news in the last second
 * knows that the grants it looked at are as they were, without looking at each of them again.
 */
import type { Clock } from '../async/clock.js'
import { singleFlight } from '../async/single-flight.js'
import { randomId } from '../crypto/hashing.js'
import type { Vault } from '../storage/vault.js'

/** The news: a text that is another one whenever access has ended before its time. */
export interface News {
  /** The news, if they were read within the last second. Those of this process itself count at once. */
  recall(): string | undefined
  /** The news, at most a second old. @throws OAuthError 503 */
  read(): Promise<string>
  /** The news as they are now, however fresh those are that were read last. @throws OAuthError 503 */
  readNow(): Promise<string>
  /** Tells every replica, within a second, that access has ended. @throws OAuthError 503 */
  publish(): Promise<void>
}

/** What it takes to keep news. */
export interface NewsOptions {
  readonly vault: Vault
  /** Seconds for which the record is kept: as long as the latest event may matter. */
  readonly lifetime: number
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic: Clock
}

const subject = 'of grants'
const noNews = 'none'
/** Milliseconds for which what was read is taken to be the latest. */
const freshFor = 1000

/**
 * A store that has lost its records has no news either. New ones are written then, so that every gate looks at its
 * grants again.
 */
export function news({ vault, lifetime, monotonic }: NewsOptions): News {
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
    const first = randomId()
    try {
      if (await notes.add(subject, first, lifetime)) return first
    } catch {
      // A store that is full can still be read.
      return noNews
    }
    return (await notes.get(subject)) ?? noNews
  }

  const readNow = () => flights.run(subject, readStore)

  return Object.freeze({
    recall,
    read: async () => recall() ?? readNow(),
    readNow,
    async publish() {
      await notes.set(subject, randomId(), lifetime)
      published += 1
      known = undefined
    },
  })
}
