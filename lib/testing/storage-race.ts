/** Four child processes race for the same keys of one store: the parent's side. */
import { equal, ok } from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** What the parent sends to a racer. `startAt` is the same for all, in milliseconds since the epoch. */
export interface RaceOrder {
  readonly operation: 'add' | 'get' | 'take'
  readonly keys: readonly string[]
  readonly startAt: number
}

/** What a racer sends: that its store is made, what it got for each key, or what went wrong. */
export type RaceReport =
  | { readonly kind: 'ready' }
  | { readonly kind: 'results'; readonly results: readonly (string | boolean | undefined)[] }
  | { readonly kind: 'failed'; readonly reason: string }

const racers = 4
const keysPerRace = 200
/** Milliseconds: enough for an order to reach all racers before the start. */
const countdown = 100

/**
 * Races `add` on 200 new keys, reads them from everywhere, then races `take`.
 *
 * @throws AssertionError unless every race has exactly one winner and all processes see the same
 */
export async function raceProcesses(processes: URL | string): Promise<void> {
  const team = Array.from({ length: racers }, (_, index) => startRacer(moduleUrl(processes), index))
  try {
    await Promise.all(team.map((racer) => racer.next('ready')))
    const prefix = randomBytes(9).toString('hex')
    const keys = Array.from({ length: keysPerRace }, (_, index) => `${prefix}:${index}`)
    const race = async (operation: RaceOrder['operation']) => {
      const order: RaceOrder = { operation, keys, startAt: Date.now() + countdown }
      for (const racer of team) racer.send(order)
      const answers = await Promise.all(team.map((racer) => racer.next('results')))
      return keys.map((_, index) => answers.map(({ results }) => results[index]))
    }
    const winners = (await race('add')).map((answers, index) => {
      equal(answers.filter((won) => won === true).length, 1, `add of ${keys[index]}: ${answers}`)
      return answers.indexOf(true)
    })
    for (const [index, answers] of (await race('get')).entries()) {
      for (const answer of answers) equal(answer, `racer ${winners[index]}`, keys[index])
    }
    for (const [index, answers] of (await race('take')).entries()) {
      const taken = answers.filter((answer) => answer !== undefined)
      equal(taken.length, 1, `take of ${keys[index]}: ${answers}`)
      equal(taken[0], `racer ${winners[index]}`, keys[index])
    }
    for (const answers of await race('get')) ok(answers.every((answer) => answer === undefined))
  } finally {
    await Promise.all(team.map((racer) => racer.stop()))
  }
}

interface Racer {
  send(order: RaceOrder): void
  /** Waits for its next report, which has to be of this kind. */
  next<Kind extends RaceReport['kind']>(kind: Kind): Promise<Extract<RaceReport, { kind: Kind }>>
  stop(): Promise<void>
}

function startRacer(module: string, index: number): Racer {
  const child = fork(runner(), [module, `racer ${index}`], {
    execArgv: [],
    // Passed explicitly, because a test runner may give this module another `process.env` (jest does).
    env: process.env,
    serialization: 'advanced',
  })
  // Not at 'exit' alone, which may come before what the child last said has been read.
  const ended = Promise.all([once(child, 'exit'), once(child, 'disconnect')]).then(
    ([[code, signal]]): RaceReport => ({
      kind: 'failed',
      reason: `it ended with ${code ?? signal}`,
    }),
  )
  return {
    send(order) {
      // `next` tells of a child that is gone.
      child.send(order, () => undefined)
    },
    async next(kind) {
      const report = await Promise.race([nextReport(child), ended])
      if (report.kind === 'failed') throw new Error(`racer ${index} failed: ${report.reason}`)
      if (report.kind !== kind) throw new Error(`racer ${index}: ${report.kind} instead of ${kind}`)
      return report as Extract<RaceReport, { kind: typeof kind }>
    },
    async stop() {
      if (child.connected) child.disconnect()
      await ended
    },
  }
}

function nextReport(child: ChildProcess): Promise<RaceReport> {
  return new Promise((resolveReport) => {
    child.once('message', (message) => resolveReport(message as RaceReport))
  })
}

function moduleUrl(processes: URL | string): string {
  if (processes instanceof URL) return processes.href
  return processes.startsWith('file:') ? processes : pathToFileURL(resolve(processes)).href
}

/** Next to this module; or, when the tests of this package run it from `lib`, where it is compiled to. */
function runner(): string {
  const places = ['./storage-racer.js', '../../dist/testing/storage-racer.js']
  const found = places
    .map((place) => fileURLToPath(new URL(place, import.meta.url)))
    .find(existsSync)
  if (found === undefined)
    throw new Error('describeStorage: storage-racer.js is missing: build the package')
  return found
}
