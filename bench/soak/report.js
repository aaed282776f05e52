/** Prints what a soak has shown, with verdicts. */
import { quantile } from '../statistics.js'
import { table } from '../table.js'

/** Into how many parts the time is cut: minutes, in a soak of the usual length. */
const parts = 15
/** Milliseconds of event-loop delay, 99th percentile. */
const mostDelay = 50
/** How much higher memory may stand in the last third than in the second: more is a rise, less is breathing. */
const mostRise = 1.1
const megabyte = 1024 * 1024

/** @returns whether every answer was right, or a 503 that said when to come back */
export function printReport({ tally, atEntra, replicas, startedAt, minutes }) {
  print('What the users met', table(['', 'count'], tally.all()))
  print("Requests to Entra's token endpoint", table(['', 'count'], atEntra))
  printMemory(replicas, startedAt, minutes)
  for (const [number, { logged }] of replicas.entries()) {
    print(`Warnings and errors in the log of replica ${number + 1}`, table(['', 'count'], logged))
  }
  print('Verdicts', table(['', 'measured', ''], verdicts(tally, replicas)))
  for (const example of tally.examples) console.log(example)
  return tally.of('wrong answers') + tally.of('logins lost') === 0
}

function printMemory(replicas, startedAt, minutes) {
  const part = (minutes * 60_000) / parts
  const header = [
    minutes === parts ? 'minute' : `part of ${(part / 1000).toFixed(0)} s`,
    ...replicas.flatMap((_, number) => [`RSS ${number + 1} MB`, `heap ${number + 1} MB`]),
  ]
  const rows = Array.from({ length: parts }, (_, index) => {
    const within = ({ at }) => Math.floor((at - startedAt) / part) === index
    const cells = replicas.flatMap(({ memory }) => {
      const samples = memory.filter(within)
      if (samples.length === 0) return ['-', '-']
      // The heap just after a collection is what is really in use.
      const heap = Math.min(...samples.map(({ heapUsed }) => heapUsed))
      return [inMegabytes(quantile(samples.map(({ rss }) => rss))), inMegabytes(heap)]
    })
    return [index + 1, ...cells]
  })
  print('Memory', table(header, rows))
}

function verdicts(tally, replicas) {
  const [wrong, lost] = [tally.of('wrong answers'), tally.of('logins lost')]
  const exercised = ['refreshes', 'step-ups', 'revocations', 'answered 503'].filter(
    (what) => tally.of(what) === 0,
  )
  return [
    row('answers that are neither right nor 503: none', wrong, wrong === 0),
    row('logins lost: none', lost, lost === 0),
    row('everything happened', exercised.length === 0 ? 'yes' : `not: ${exercised}`, !exercised[0]),
    ...replicas.flatMap(({ memory, delay, cpu }, index) => {
      const rise = riseOf(memory)
      return [
        row(
          `replica ${index + 1}: RSS flat after the first third (last to second: at most ${mostRise})`,
          rise.toFixed(2),
          rise <= mostRise,
        ),
        row(
          `replica ${index + 1}: event-loop delay p99 under ${mostDelay} ms`,
          `${delay.toFixed(1)} ms`,
          delay < mostDelay,
        ),
        row(`replica ${index + 1}: seconds of CPU`, cpu.toFixed(0)),
      ]
    }),
  ]
}

/** Memory of the last third to that of the second. */
function riseOf(memory) {
  const rss = memory.map((sample) => sample.rss)
  const third = Math.floor(rss.length / 3)
  return quantile(rss.slice(-third)) / quantile(rss.slice(third, 2 * third))
}

function row(wanted, measured, reached) {
  return [wanted, measured, reached === undefined ? '' : reached ? 'PASS' : 'MISS']
}

function inMegabytes(bytes) {
  return (bytes / megabyte).toFixed(0)
}

function print(title, text) {
  console.log(`\n${title}\n\n${text}`)
}
