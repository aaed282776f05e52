/** Ending access in the middle of a request: before each of its operations on the store, one after the other. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { type EntraAuth, memoryStorage, revokeUser } from 'mcp-entra'
import type { Entra } from '../support/host.js'
import { ada, getCode, getNotes, redeem, refresh, type Tokens } from '../support/oauth-client.js'
import { startProxy, startTestEntra, testClock } from '../support/proxy.js'
import { around } from '../support/replica.js'

let entra: Entra
beforeAll(async () => {
  entra = await startTestEntra()
})

/** A replica that another one interrupts: it ends the user's access before the operation of this number. */
async function startInterrupted() {
  const store = memoryStorage()
  const clock = testClock()
  clock.stop()
  let countdown = Number.POSITIVE_INFINITY
  let auth: EntraAuth | undefined
  const storage = around(store, async (_name, run) => {
    countdown -= 1
    // What happens in the same millisecond has no order.
    clock.advance(0.001)
    if (countdown === -1 && auth) await revokeUser(auth, { tid: entra.tenant.id, oid: ada })
    clock.advance(0.001)
    return run()
  })
  const { url } = await startProxy(entra, { storage, now: clock.now })
  const other = await startProxy(entra, {
    storage: store,
    now: clock.now,
    baseUrl: url,
    mount: (_app, made) => {
      auth = made
    },
  })
  return {
    url,
    /** @returns what the work gave, and whether there were so many operations */
    async interrupt<T>(at: number, work: () => Promise<T>) {
      countdown = at
      const result = await work()
      const isOver = countdown < 0
      countdown = Number.POSITIVE_INFINITY
      return { result, isOver }
    },
    /** The statuses of both gates and of refreshing at both, a second later. */
    async statuses(tokens: Tokens, clientId: string) {
      clock.advance(1)
      const all: number[] = []
      for (const at of [url, other.address]) {
        all.push((await getNotes(at, tokens.access_token)).status)
        all.push((await refresh(at, { ...tokens, clientId })).status)
      }
      return all
    },
  }
}

const ended = [401, 400, 401, 400]
const good = [200, 200, 200, 200]
/** More operations than any request has. */
const most = 40

/** Runs a test for each number of an operation, until there are no more. */
async function atEach(test: (at: number) => Promise<boolean>): Promise<void> {
  let at = 0
  while (await test(at)) at += 1
  expect(at).toBeGreaterThan(0)
  expect(at).toBeLessThan(most)
}

describe('access that ends while', () => {
  it('a code is redeemed: it is refused, or its tokens are over', async () => {
    const { url, interrupt, statuses } = await startInterrupted()
    await atEach(async (at) => {
      const code = await getCode(url)
      const { result, isOver } = await interrupt(at, () => redeem(url, code))
      if (result.status === 200) {
        const tokens = (await result.json()) as Tokens
        expect(await statuses(tokens, code.clientId)).toEqual(isOver ? ended : good)
      } else {
        expect([isOver, result.status]).toEqual([true, 400])
      }
      return isOver
    })
  })

  it('a refresh is under way: it is refused, or its tokens are over, and so are those before', async () => {
    const { url, interrupt, statuses } = await startInterrupted()
    await atEach(async (at) => {
      const code = await getCode(url)
      const before = (await (await redeem(url, code)).json()) as Tokens
      const token = { ...before, clientId: code.clientId }
      const { result, isOver } = await interrupt(at, () => refresh(url, token))
      if (!isOver) return false
      expect(await statuses(before, code.clientId)).toEqual(ended)
      if (result.status === 200) {
        expect(await statuses((await result.json()) as Tokens, code.clientId)).toEqual(ended)
      }
      return true
    })
  })

  it('a sign-in comes back from Entra: its code is refused, or was given afterwards and is good', async () => {
    const { url, interrupt, statuses } = await startInterrupted()
    const answers = new Set<number>()
    await atEach(async (at) => {
      const { result: code, isOver } = await interrupt(at, () => getCode(url))
      const answer = await redeem(url, code)
      answers.add(answer.status)
      if (answer.status === 200) {
        expect(await statuses((await answer.json()) as Tokens, code.clientId)).toEqual(good)
      } else {
        expect([isOver, answer.status]).toEqual([true, 400])
      }
      return isOver
    })
    expect([...answers].sort()).toEqual([200, 400])
  })
})
