/** Logins through every proxy, as tables. */
import { pinning } from '../pin.js'
import { quantile, spread } from '../statistics.js'
import { contestants, duties } from './contestants.js'
import { steps } from './login.js'
import { measureLogins } from './measure.js'
import { plots } from './plots.js'
import { targets } from './targets.js'
import { workTable } from './work.js'

const reference = 'bare reference'
const peer = 'SDK v1'

export async function run(options, progress) {
  const { samples, memory } = await measureLogins(options, progress)
  return {
    title: 'Logins',
    notes: [
      'A login is: register, authorize, consent where there is a page, callback, token, refresh; 16 at once, against the same Entra on loopback, which answers at once.',
      `CPU is that of the proxy's process, all threads; ${pinning}. Medians of all rounds, quartiles in brackets; ratios are within a round.`,
    ],
    tables: [overall(samples, memory), stepTable(samples), workTable(samples), fairness(samples)],
    plots: plots(samples),
    targets: targets(samples),
  }
}

function overall(samples, memory) {
  const rows = [...samples].map(([name, own]) => [
    name,
    spread(
      own.map(({ perSecond }) => perSecond),
      0,
    ),
    spread(
      own.map(({ cpu }) => cpu / 1000),
      2,
    ),
    ratio(own, samples.get(reference)),
    ratio(own, samples.get(peer)),
    quantile(own.map(({ p50 }) => p50)).toFixed(0),
    quantile(own.map(({ p99 }) => p99)).toFixed(0),
    (memory.get(name) / 1024 / 1024).toFixed(0),
  ])
  const header = [
    '',
    'logins/s',
    'CPU per login, ms',
    'CPU to reference',
    'CPU to SDK v1',
    'p50 ms',
    'p99 ms',
    'RSS MB',
  ]
  return { title: 'Logins per second', header, rows }
}

function ratio(own, other) {
  return quantile(own.map(({ cpu }, round) => cpu / other[round].cpu)).toFixed(2)
}

function stepTable(samples) {
  const names = Object.keys(steps)
  const rows = [...samples].map(([name, own]) => [
    name,
    ...names.map((step) =>
      spread(
        own.map((sample) => sample.steps[step]),
        0,
      ),
    ),
    names
      .reduce((sum, step) => sum + quantile(own.map((sample) => sample.steps[step])), 0)
      .toFixed(0),
  ])
  return {
    title: 'CPU per step, µs',
    header: ['', ...names, 'sum'],
    rows,
    notes: [
      'In lockstep: all logins of a batch take a step before any takes the next. A step that a proxy does not have costs nearly nothing. The redirects of oidc-provider to its own login page and back are in authorize.',
    ],
  }
}

function fairness(samples) {
  return {
    title: 'What they do for it',
    header: ['', ...duties],
    rows: [...samples.keys()].map((name) => [name, ...contestants[name].does]),
    notes: [
      "SDK v1 passes its clients' ids on to Entra, which no Entra knows: an application has to add what is missing. oidc-provider has no upstream: it never waits for anybody, and the user is signed in without a page. The CPU of Redis itself is not counted.",
    ],
  }
}
