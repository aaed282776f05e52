/**
 * What a crowd leaves behind: 100,000 users who each come once, past a cache for 10,000. A child process of its own,
 * since it counts the bytes that are in use once the garbage is gone.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { onBehalfOf } from '../../dist/entra/on-behalf-of.js'
import { answerParent } from '../answer-parent.js'

const maxEntries = 10_000
const scopes = ['https://graph.microsoft.com/User.Read']
const tid = '8f0f6a3e-5b53-4c0f-9c41-2b8b7d0a1e11'
/** As long as a token of Entra. */
const body = 'x'.repeat(1500)

answerParent({ grown })

/** @returns bytes that 80,000 users added to those of the 20,000 before them */
async function grown() {
  const endpoint = {
    onBehalfOf: async ({ assertion }) => ({ accessToken: `${assertion} out`, expiresIn: 4000 }),
  }
  const cache = onBehalfOf({ endpoint, maxEntries })
  const come = async (from, to) => {
    for (let user = from; user < to; user++) {
      const { token } = await cache.token({
        assertion: `${user}.${body}`,
        oid: `oid ${user}`,
        tid,
        scopes,
      })
      if (!token.startsWith(`${user}.`)) throw new Error(`user ${user} got another user's token`)
    }
    if (cache.size !== maxEntries) throw new Error(`the cache holds ${cache.size} entries`)
  }
  await come(0, 20_000)
  const before = heapUsed()
  await come(20_000, 100_000)
  return heapUsed() - before
}

/** Bytes in use once the garbage is gone. */
function heapUsed() {
  setFlagsFromString('--expose_gc')
  runInNewContext('gc')()
  return process.memoryUsage().heapUsed
}
