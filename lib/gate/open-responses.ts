/**
 * Responses that take their time: streams of messages, and tools that run for long. They end when the access behind their
 * token ends, or whoever holds one would go on hearing what a new request is refused.
 */
import type { ServerResponse } from 'node:http'
import type { Report } from '../http/report.js'
import { OAuthError } from '../oauth/errors.js'
import type { LiveGrants } from './live-grants.js'
import { grantBehind, type LiveTokens, type OwnToken } from './own-token.js'
import { reportRefusal } from './refuse.js'
import { verifiedFacts } from './verified-token.js'

/** The responses of one process. */
export interface OpenResponses {
  /**
   * Cuts this response off when the access behind its token has ended: a stream within a second, the answer to a call
   * that is under way when ten more have passed.
   */
  watch(res: ServerResponse, token: OwnToken): void
}

/** What it takes to watch them. */
export interface OpenResponsesOptions extends LiveTokens {
  readonly live: LiveGrants
  readonly report: Report
}

interface Watched {
  readonly res: ServerResponse
  /** With the grant for which it was last known to be good. */
  readonly token: OwnToken
}

interface OpenResponse extends Watched {
  token: OwnToken
  /** The news when it was last known to be good. */
  news?: string
  /** The round of that. */
  round: number
  /** Rounds since its access ended. */
  roundsOver: number
}

/** Milliseconds between two rounds. */
const roundEvery = 1000
/** Rounds that a call under way gets after the end of its access, to be answered. */
const patience = 10
/** Rounds after which a response is looked at without news, as the gate does for tokens in use. */
const lookEvery = 60
/** Responses that one round looks at: where more are open, news take longer to reach the last, and spare the store. */
const mostInRound = 1000
/** Of those, how many at the same time. */
const lanes = 16

/** Watches nothing yet. Its timer runs only while there is a response to watch, and keeps no process alive. */
export function openResponses(options: OpenResponsesOptions): OpenResponses {
  const { live, report } = options
  /** The latest of each connection. Most have been sent when the round comes, and a listener on each would cost more. */
  const latest = new Map<object, Watched>()
  /** Those that have waited longest for a look come first. */
  const open = new Set<OpenResponse>()
  let rounds = 0
  let timer: NodeJS.Timeout | undefined

  const keep = (watched: Watched) => {
    if (!isOpen(watched.res)) return
    const response = { ...watched, round: rounds, roundsOver: 0 }
    open.add(response)
    watched.res.once('close', () => open.delete(response))
  }

  const cutOff = (response: OpenResponse) => {
    const { res, token } = response
    open.delete(response)
    const detail = 'The access has ended, so a response that was still open has been cut off.'
    reportRefusal(report, new OAuthError('invalid_token', detail), verifiedFacts(token))
    res.destroy()
  }

  /** An answer tells a client more than a connection that breaks, for which some wait a minute. */
  const endUnlessPatient = (response: OpenResponse) => {
    const { req, headersSent } = response.res
    const isStream = req.method === 'GET' && headersSent
    if (!isStream && response.roundsOver++ < patience) return
    cutOff(response)
  }

  const check = async (response: OpenResponse, news: string) => {
    // At the end of the line, unless it has been closed.
    if (!open.delete(response)) return
    open.add(response)
    const { token } = response
    try {
      const grant = await grantBehind(options, token)
      if (!grant) return endUnlessPatient(response)
      if (grant !== token.grant) response.token = { ...token, grant }
      Object.assign(response, { news, round: rounds })
    } catch (error) {
      passOver(error)
    }
  }

  /** While the store is away nobody can tell, and the next round asks again. */
  const passOver = (cause: unknown) => {
    if (!(cause instanceof OAuthError))
      report('failure', { endpoint: 'gate', reason: 'server_error', cause })
  }

  const round = async () => {
    rounds += 1
    for (const watched of latest.values()) keep(watched)
    latest.clear()
    if (open.size === 0) return
    const news = await live.catchUp()
    const due = [...open].filter(
      (response) => response.news !== news || rounds - response.round >= lookEvery,
    )
    const waiting = due.slice(0, mostInRound).values()
    const lane = async () => {
      for (const response of waiting) await check(response, news)
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  }

  const start = () => {
    timer = setTimeout(() => {
      round()
        .catch(passOver)
        .finally(() => {
          timer = undefined
          if (latest.size + open.size > 0) start()
        })
    }, roundEvery).unref()
  }

  return Object.freeze({
    watch(res: ServerResponse, token: OwnToken) {
      // A response that waits for the one before it on its connection (pipelining) has no socket yet.
      latest.set(res.socket ?? res, { res, token })
      if (timer === undefined) start()
    },
  })
}

/** Over HTTP/2, where a response has no `destroyed`, one that its client no longer wants counts as finished. */
function isOpen({ destroyed, writableFinished }: ServerResponse): boolean {
  return !destroyed && !writableFinished
}
