/** Authorization codes: redeemed by exactly one request, and deadly to the grant when replayed later. */
import { randomSecret } from '../crypto/hashing.js'
import type { Vault } from '../storage/vault.js'
import type { Grants } from './grants.js'
import type { Lifetimes } from './lifetimes.js'
import type { CodeRecord, SpentCode } from './records.js'

/** The codes in the store. */
export interface AuthorizationCodes {
  create(record: CodeRecord): Promise<string>
  read(code: string): Promise<CodeRecord | undefined>
  /** Takes the code: true for one caller only, and for it not before the rush for the code is over. */
  redeem(code: string, record: CodeRecord): Promise<boolean>
  /** A code that is not there: when it was redeemed before this request arrived, its grant is revoked. */
  replayed(code: string, arrivedAt: number): Promise<boolean>
}

/**
 * Milliseconds for which the winner of a code waits before it is answered. Whoever brings the same code
 * meanwhile is the same client in a hurry (two egress addresses, a retry) and costs it nothing; whoever
 * brings it after the answer replays it. On a starved machine the wait goes on until the event loop keeps
 * time again, for what came in long ago may only now be read.
 */
const rush = 50
/** The wait in slices, and how late the timer of one may be when the loop keeps time. */
const slice = 25
const onTime = 10
/** How long the wait may become, and by when the winner has certainly been answered. */
const longestRush = 1000
const certainlyAnswered = 5000

/** @see RFC 6749 section 4.1.2, RFC 9700 section 2.1.1 */
export function authorizationCodes(
  vault: Vault,
  grants: Grants,
  lifetimes: Lifetimes,
  now: () => number,
): AuthorizationCodes {
  const codes = vault.shelf<CodeRecord>('code')
  const spent = vault.shelf<SpentCode>('spent-code')
  return Object.freeze({
    async create(record: CodeRecord) {
      const code = randomSecret()
      await codes.write(code, record, lifetimes.code)
      return code
    },
    async read(code: string) {
      return (await codes.read(code))?.value
    },
    async redeem(code: string, { sid }: CodeRecord) {
      if (!(await codes.take(code))) return false
      const wonAt = now()
      const bury = (answeredAt: number) =>
        spent.write(code, { sid, answeredAt }, Math.min(lifetimes.grant, 24 * 3600))
      // Until the rush is over nobody is a replayer; were we to crash in it, soon everybody would be.
      await bury(wonAt + certainlyAnswered)
      await rushOver()
      await bury(Math.max(now(), wonAt + rush))
      return true
    },
    async replayed(code: string, arrivedAt: number) {
      const tombstone = (await spent.read(code))?.value
      if (!tombstone || arrivedAt <= tombstone.answeredAt) return false
      await grants.revoke(tombstone.sid)
      return true
    },
  })
}

async function rushOver(): Promise<void> {
  let calm = 0
  for (let waited = 0; calm < rush && waited < longestRush; ) {
    const before = performance.now()
    await new Promise((resolve) => setTimeout(resolve, slice))
    const took = performance.now() - before
    waited += took
    calm = took <= slice + onTime ? calm + slice : 0
  }
  // Whatever is in the sockets already gets its time of arrival now.
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
