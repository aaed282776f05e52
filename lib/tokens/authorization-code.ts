/** Authorization codes: exactly one request redeems each, and a later replay by the same client revokes its grant. */
import { randomSecret } from '../crypto/hashing.js'
import { verifierMatches } from '../oauth/pkce.js'
import type { Vault } from '../storage/vault.js'
import type { Grants } from './grants.js'
import type { Lifetimes } from './lifetimes.js'
import type { CodeRecord, Grant, SpentCode } from './records.js'

/** The codes in the store. */
export interface AuthorizationCodes {
  create(record: CodeRecord): Promise<string>
  read(code: string): Promise<CodeRecord | undefined>
  /** Takes the code: true for one caller only, however many there are. */
  redeem(code: string): Promise<boolean>
  /** Remembers a redeemed code, so that a replay is recognised. */
  rememberRedeemed(code: string, spent: SpentCode): Promise<void>
  /** Revokes the grant of a code that its own client replays. @returns the login, if this was such a replay */
  revokeIfReplayed(code: string, replay: Replay): Promise<ReplayedLogin | undefined>
}

/** A request with a code that is not in the store, or no longer. */
export interface Replay {
  /** SHA-256 of the client id. */
  readonly client: string
  readonly verifier: string
  /** Milliseconds since the epoch at which the request came in. */
  readonly arrivedAt: number
}

/** A login that has ended because its code was replayed. */
export interface ReplayedLogin {
  readonly sid: string
  /** Undefined when it had ended before. */
  readonly grant: Grant | undefined
}

/** Milliseconds after a redemption in which the same request is a retry, by a client that missed the answer. */
const retryTime = 2000
/** Longest time that a redeemed code is remembered, in seconds. */
const longestMemory = 24 * 3600

/**
 * Only the client that began the login has the verifier. A code that comes with another verifier, or from another
 * client, was stolen on its way, and PKCE has stopped the thief: no login ends. A late replay with the right verifier
 * means that somebody has a copy of the client's own secrets.
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
      const record = (await codes.get(code))?.value
      // A login that was under way with 0.1 has no secret yet: its user starts again.
      return record?.sid === undefined ? undefined : record
    },
    redeem: (code: string) => codes.remove(code),
    rememberRedeemed: (code: string, record: SpentCode) =>
      spent.set(code, record, Math.min(lifetimes.grant, longestMemory)),
    async revokeIfReplayed(code: string, { client, verifier, arrivedAt }: Replay) {
      const redeemed = (await spent.get(code))?.value
      if (!redeemed || redeemed.client !== client) return undefined
      if (!verifierMatches(verifier, redeemed.codeChallenge)) return undefined
      if (arrivedAt - redeemed.redeemedAt <= retryTime) return undefined
      const { sid } = redeemed
      const grant = (await grants.read(sid))?.value
      await grants.revoke(sid)
      return { sid, grant }
    },
  })
}
