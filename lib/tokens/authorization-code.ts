/** Authorization codes: redeemed by exactly one request, and deadly to the grant when the client's own is replayed later. */
import { randomSecret } from '../crypto/hashing.js'
import { verifierMatches } from '../oauth/pkce.js'
import type { Vault } from '../storage/vault.js'
import type { Grants } from './grants.js'
import type { Lifetimes } from './lifetimes.js'
import type { CodeRecord, SpentCode } from './records.js'

/** The codes in the store. */
export interface AuthorizationCodes {
  create(record: CodeRecord): Promise<string>
  read(code: string): Promise<CodeRecord | undefined>
  /** Takes the code: true for one caller only, however many there are. */
  redeem(code: string): Promise<boolean>
  /** Remembers a redeemed code, to know its replay by. @param redeemedAt milliseconds since the epoch */
  bury(code: string, record: CodeRecord, redeemedAt: number): Promise<void>
  /** For a code that is not there. @returns whether it was a replay, and its grant has been revoked */
  revokeIfReplayed(code: string, replay: Replay): Promise<boolean>
}

/** Somebody brings a code that is not there (any more). */
export interface Replay {
  /** SHA-256 of the client id. */
  readonly client: string
  readonly verifier: string
  /** Milliseconds since the epoch at which the request came in. */
  readonly arrivedAt: number
}

/** Milliseconds after a redemption in which the same client asks again for want of the answer: a retry, no replay. */
const retryTime = 2000
/** Seconds for which a redeemed code is known again. */
const longestKnown = 24 * 3600

/**
 * Only the client that began the login holds the verifier, so a code that comes with another one, or from another
 * client, was stolen on its way and shows that PKCE holds: it ends nobody's login. The right one, later, means that
 * the client itself has been copied.
 *
 * @see RFC 6749 section 4.1.2, RFC 9700 section 2.1.1
 */
export function authorizationCodes(
  vault: Vault,
  grants: Grants,
  lifetimes: Lifetimes,
): AuthorizationCodes {
  const codes = vault.shelf<CodeRecord>('code')
  const spent = vault.shelf<SpentCode>('spent-code')
  return Object.freeze({
    async create(record: CodeRecord) {
      const code = randomSecret()
      await codes.set(code, record, lifetimes.code)
      return code
    },
    async read(code: string) {
      return (await codes.get(code))?.value
    },
    redeem: async (code: string) => (await codes.take(code)) !== undefined,
    bury: (code: string, { sid, client, codeChallenge }: CodeRecord, redeemedAt: number) =>
      spent.set(
        code,
        { sid, client, codeChallenge, redeemedAt },
        Math.min(lifetimes.grant, longestKnown),
      ),
    async revokeIfReplayed(code: string, { client, verifier, arrivedAt }: Replay) {
      const tombstone = (await spent.get(code))?.value
      if (!tombstone || tombstone.client !== client) return false
      if (!verifierMatches(verifier, tombstone.codeChallenge)) return false
      if (arrivedAt - tombstone.redeemedAt <= retryTime) return false
      await grants.revoke(tombstone.sid)
      return true
    },
  })
}
