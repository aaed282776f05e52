/** On-behalf-of with every token already cached: what one look-up costs, by number of users. A child process. */
import { randomBytes, randomUUID } from 'node:crypto'
import { answerParent } from '../answer-parent.js'
import { ownCache } from './own-cache.js'
import { sharedMsal } from './shared-msal.js'

const calls = 8

const cases = {
  'mcp-entra, 1 user': await prepare(ownCache, 1),
  'mcp-entra, 1,000 users': await prepare(ownCache, 1000),
  'mcp-entra, 100,000 users': await prepare(ownCache, 100_000),
  'shared MSAL, 1 user': await prepare(sharedMsal, 1),
  'shared MSAL, 100 users': await prepare(sharedMsal, 100),
  'shared MSAL, 1,000 users': await prepare(sharedMsal, 1000),
}

answerParent({ names: () => Object.keys(cases), measure })

/** Fills a cache with a token for each user. */
async function prepare(makeCache, count) {
  const users = Array.from({ length: count }, makeUser)
  const cache = makeCache(count)
  for (const user of users) await cache.fill(user)
  return { users, cache }
}

function makeUser() {
  return {
    tid: '8f0f6a3e-5b53-4c0f-9c41-2b8b7d0a1e11',
    oid: randomUUID(),
    assertion: `${randomBytes(36).toString('base64url')}.${randomBytes(860).toString('base64url')}`,
    downstreamToken: randomBytes(1100).toString('base64url'),
  }
}

/** CPU in microseconds per look-up, over some seconds and users at random. */
async function measure({ name, seconds }) {
  const { users, cache } = cases[name]
  const end = performance.now() + seconds * 1000
  const before = process.cpuUsage()
  let count = 0
  do {
    for (let i = 0; i < calls; i++) {
      const user = users[Math.floor(Math.random() * users.length)]
      const token = await cache.token(user)
      if (token !== user.downstreamToken) throw new Error(`${name}: another user's token`)
    }
    count += calls
  } while (performance.now() < end)
  const { user, system } = process.cpuUsage(before)
  if (cache.exchanges() !== users.length) throw new Error(`${name}: the cache was not warm`)
  return (user + system) / count
}
