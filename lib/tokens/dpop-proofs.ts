/** The checks of DPoP proofs that need what this server keeps: its nonces, and the proofs that were used before. */
import { boundedMap } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import type { KeyRing } from '../crypto/key-ring.js'
import {
  checkProofClaims,
  importProofKey,
  type ProofInHand,
  type ProofKey,
  type ProvenRequest,
  proofWindow,
  readProof,
  verifyProofSignature,
} from '../oauth/dpop.js'
import { OAuthError } from '../oauth/errors.js'
import type { Vault } from '../storage/vault.js'
import { dpopNonces } from './dpop-nonces.js'

/** A proof that is good, but for {@link DpopProofs.useOnce}. */
export interface VerifiedProof {
  /** Names the key. @see RFC 7638 */
  readonly jkt: string
  readonly jti: string
  /** Seconds since the epoch. */
  readonly iat: number
}

/** What a proof has to be for. */
export interface ProofRequest extends Omit<ProvenRequest, 'now'> {
  /** The key that the access token is bound to. */
  readonly jkt?: string
}

/** Checks proofs. */
export interface DpopProofs {
  /** Whether tokens that are bound to no key are neither issued nor taken. */
  readonly required: boolean
  /**
   * Checks all but the single use, and writes nothing.
   *
   * @throws OAuthError `invalid_dpop_proof`; `use_dpop_nonce` where proofs need a nonce
   */
  verify(header: string, request: ProofRequest): Promise<VerifiedProof>
  /**
   * Notes that a proof was used. Only for one who has shown a good token along with it: nobody else may write.
   *
   * @throws OAuthError `invalid_dpop_proof` when it was used before, on whichever replica; 503
   */
  useOnce(proof: VerifiedProof): Promise<void>
  /** The nonce that the next proof should have. Undefined where proofs need none. */
  nonce(): string | undefined
}

/** Options of {@link dpopProofs}. */
export interface DpopProofsOptions {
  readonly required: boolean
  /** Whether proofs need a nonce of ours. */
  readonly nonces: boolean
  readonly ring: KeyRing
  readonly records: Vault
  readonly now: Clock
}

/** Keys to keep ready: importing one costs about as much as verifying a signature with it. */
const mostKeys = 10_000

/** @see RFC 9449 section 4.3 */
export function dpopProofs(options: DpopProofsOptions): DpopProofs {
  const { required, records, now } = options
  const used = records.notes('proof')
  const nonces = options.nonces ? dpopNonces(options.ring, now) : undefined
  const keys = boundedMap<ProofKey>({ maxEntries: mostKeys })

  /** Only keys that a good token is bound to are kept, so strangers cannot push them out. */
  const readyKey = async (proof: ProofInHand, isBound: boolean) => {
    const known = keys.get(proof.jkt)
    if (known) return known
    const key = await importProofKey(proof)
    if (isBound) keys.set(proof.jkt, key)
    return key
  }

  const checkNonce = (nonce: string | undefined) => {
    if (!nonces || (nonce !== undefined && nonces.isGood(nonce))) return
    throw new OAuthError(
      'use_dpop_nonce',
      'The DPoP proof needs the nonce of the DPoP-Nonce header.',
    )
  }

  return Object.freeze({
    required,
    async verify(header: string, { jkt, ...request }: ProofRequest) {
      const proof = readProof(header)
      if (jkt !== undefined && proof.jkt !== jkt) {
        throw new OAuthError(
          'invalid_dpop_proof',
          'The DPoP proof is by another key than the access token is bound to.',
        )
      }
      const claims = checkProofClaims(proof, { ...request, now: now() })
      checkNonce(claims.nonce)
      await verifyProofSignature(proof, await readyKey(proof, jkt !== undefined))
      return { jkt: proof.jkt, jti: claims.jti, iat: claims.iat }
    },
    async useOnce({ jkt, jti, iat }: VerifiedProof) {
      // As long as it could be used, to the end of that second: its `iat` may be ahead of us.
      const remaining = iat + proofWindow - now() / 1000 + 1
      if (await used.add(`${jkt}\0${jti}`, '1', remaining)) return
      throw new OAuthError('invalid_dpop_proof', 'The DPoP proof has been used before.')
    },
    nonce: () => nonces?.current(),
  })
}
