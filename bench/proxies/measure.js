/** Measures logins: in each round every proxy twice, running freely and in lockstep, one proxy after another. */
import { quantile, shuffled } from '../statistics.js'
import { openLine } from './browser.js'
import { newLogin, steps } from './login.js'
import { withProxies } from './start.js'

/** Logins under way at once. */
const inFlight = 16
/** Logins for each line in lockstep. Few, since oidc-provider's store holds no more than a hundred logins. */
const inTurn = 3
/** Rounds' worth of free running before the first round. */
const warmUp = 5

/** @returns samples by proxy, one for each round, and bytes of memory after the last */
export function measureLogins({ rounds, seconds }, progress) {
  return withProxies(progress, async (proxies) => {
    const samples = new Map(proxies.map(({ name }) => [name, []]))
    for (const proxy of proxies) {
      progress(`warming up ${proxy.name}`)
      await named(proxy, () => runFreely(proxy, warmUp * seconds))
      await named(proxy, () => runInLockstep(proxy))
    }
    for (let round = 1; round <= rounds; round++) {
      progress(`logins, round ${round} of ${rounds}`)
      for (const proxy of shuffled(proxies)) {
        samples.get(proxy.name).push(
          await named(proxy, async () => ({
            ...(await runFreely(proxy, seconds)),
            steps: await runInLockstep(proxy),
          })),
        )
      }
    }
    const memory = new Map()
    for (const { name, ask } of proxies) memory.set(name, (await ask('usage')).rss)
    return { samples, memory }
  })
}

/** Each line does one login after another. CPU in microseconds per login, latencies in milliseconds. */
async function runFreely({ ask, endpoints }, seconds) {
  const before = await ask('usage')
  const start = performance.now()
  const end = start + seconds * 1000
  const latencies = []
  await onLines(async (line) => {
    while (performance.now() < end) {
      const begun = performance.now()
      const login = newLogin(endpoints, line)
      for (const step of Object.values(steps)) await step(login)
      latencies.push(performance.now() - begun)
    }
  })
  const elapsed = (performance.now() - start) / 1000
  const after = await ask('usage')
  return {
    perSecond: latencies.length / elapsed,
    cpu: (after.cpu - before.cpu) / latencies.length,
    p50: quantile(latencies),
    p99: quantile(latencies, 0.99),
  }
}

/** All logins take a step before any takes the next. @returns CPU in microseconds per login, by step */
async function runInLockstep({ ask, endpoints }) {
  const queues = Array.from({ length: inFlight }, () => [])
  const costs = {}
  await onLines(
    async (line, index) => {
      queues[index] = Array.from({ length: inTurn }, () => newLogin(endpoints, line))
    },
    async () => {
      for (const [name, step] of Object.entries(steps)) {
        const before = await ask('usage')
        await Promise.all(
          queues.map(async (logins) => {
            for (const login of logins) await step(login)
          }),
        )
        costs[name] = ((await ask('usage')).cpu - before.cpu) / (inFlight * inTurn)
      }
    },
  )
  return costs
}

/** Does some work on every line at once, then some more, and hangs up. */
async function onLines(work, then) {
  const lines = Array.from({ length: inFlight }, openLine)
  try {
    await Promise.all(lines.map(work))
    await then?.()
  } finally {
    for (const line of lines) line.close()
  }
}

async function named({ name }, work) {
  try {
    return await work()
  } catch (cause) {
    throw new Error(`${name}: ${cause.message}`, { cause })
  }
}
