/** Measures logins: in each round every proxy twice, running freely and in lockstep, one proxy after another. */
import { quantile, shuffled } from '../statistics.js'
import { openLine } from './browser.js'
import { newLogin, steps } from './login.js'
import { withProxies } from './start.js'

/** Logins under way at once. */
const inFlight = 16
/** Logins for each line in lockstep. Few, since oidc-provider's store holds no more than a hundred logins. */
const inTurn = 3
/** Logins before the first round, for code to get hot. */
const warmUp = 600
const quickWarmUp = 250

/** @returns samples by proxy, one for each round, and bytes of memory after the last */
export function measureLogins({ rounds, seconds, quick }, progress) {
  return withProxies(progress, async (proxies) => {
    const samples = new Map(proxies.map(({ name }) => [name, []]))
    for (const proxy of proxies) {
      progress(`warming up ${proxy.name}`)
      const atLeast = quick ? quickWarmUp : warmUp
      await visit(proxy, (lines) => runFreely(proxy, lines, { seconds: 0, atLeast }))
    }
    for (let round = 1; round <= rounds; round++) {
      progress(`logins, round ${round} of ${rounds}`)
      for (const proxy of shuffled(proxies)) {
        samples.get(proxy.name).push(await visit(proxy, (lines) => sample(proxy, lines, seconds)))
      }
    }
    const memory = new Map()
    for (const { name, ask } of proxies) memory.set(name, (await ask('usage')).rss)
    return { samples, memory }
  })
}

async function sample(proxy, lines, seconds) {
  // Does not count: a server that waited for its turn starts slowly.
  await runFreely(proxy, lines, { seconds: 0, atLeast: inFlight })
  return {
    ...(await runFreely(proxy, lines, { seconds })),
    steps: await runInLockstep(proxy, lines),
  }
}

/** Each line does one login after another. CPU in microseconds per login, latencies in milliseconds. */
async function runFreely({ ask, endpoints }, lines, { seconds, atLeast = 0 }) {
  const before = await ask('usage')
  const start = performance.now()
  const end = start + seconds * 1000
  const latencies = []
  const keepLoggingIn = async (line) => {
    while (performance.now() < end || latencies.length < atLeast) {
      const begun = performance.now()
      const login = newLogin(endpoints, line)
      for (const step of Object.values(steps)) await step(login)
      latencies.push(performance.now() - begun)
    }
  }
  await Promise.all(lines.map(keepLoggingIn))
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
async function runInLockstep({ ask, endpoints }, lines) {
  const queues = lines.map((line) =>
    Array.from({ length: inTurn }, () => newLogin(endpoints, line)),
  )
  const costs = {}
  for (const [name, step] of Object.entries(steps)) {
    const before = await ask('usage')
    await Promise.all(
      queues.map(async (logins) => {
        for (const login of logins) await step(login)
      }),
    )
    const after = await ask('usage')
    costs[name] = (after.cpu - before.cpu) / (inFlight * inTurn)
  }
  return costs
}

/** Connects, and says whose fault a failure is. */
async function visit({ name }, work) {
  const lines = Array.from({ length: inFlight }, openLine)
  try {
    return await work(lines)
  } catch (cause) {
    throw new Error(`${name}: ${cause.message}`, { cause })
  } finally {
    for (const line of lines) line.close()
  }
}
