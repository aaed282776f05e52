/** DPoP proofs: what request one is for, and what the gate says of it as far as the proof alone shows. */
import type { DecodedJwt } from '../../crypto/decode-jwt.js'
import {
  checkProofClaims,
  importProofKey,
  readProof,
  verifyProofSignature,
} from '../../oauth/dpop.js'
import { OAuthError } from '../../oauth/errors.js'
import type { Explanation, Gate } from './explanation.js'

/** What is known of the server that the proof is for. */
export interface ProofContext {
  readonly baseUrl: string | undefined
  now(): number
}

/** @see RFC 9449 section 4 */
export async function explainProof(jwt: DecodedJwt, context: ProofContext): Promise<Explanation> {
  const { htm, htu, iat, ath, nonce } = jwt.claims
  const now = context.now()
  const age = typeof iat === 'number' ? Math.round(now / 1000 - iat) : undefined
  const gate = await judge(jwt, context.baseUrl, now)
  return {
    kind: 'dpop-proof',
    summary: `A DPoP proof for ${text(htm)} ${text(htu)}. It is good for that one request and no token by itself.`,
    facts: [
      ['method (htm)', text(htm)],
      ['URL (htu)', text(htu)],
      ...(age === undefined ? [] : [['signed (iat)', `${age} seconds ago`] as const]),
      ['for an access token (ath)', ath === undefined ? 'no: for the token endpoint' : text(ath)],
      ...(nonce === undefined ? [] : [['nonce', text(nonce)] as const]),
      ...keyFact(jwt),
    ],
    gate,
    remedies: remedies.flatMap(([sign, remedy]) =>
      gate.because.some((line) => line.includes(sign)) ? [remedy] : [],
    ),
  }
}

const remedies = [
  ["'iat'", 'Compare the clocks of client and server. Each request needs a proof of its own.'],
  [
    'BASE_URL',
    'Clients sign the URL that they ask for, so BASE_URL has to be that URL, with its scheme and prefix.',
  ],
] as const

async function judge(jwt: DecodedJwt, baseUrl: string | undefined, now: number): Promise<Gate> {
  const { htm, htu } = jwt.claims
  try {
    const proof = readProof(jwt.token)
    checkProofClaims(proof, { method: whole(htm), url: whole(htu), now })
    await verifyProofSignature(proof, await importProofKey(proof))
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    return { admits: 'no', because: [error.description] }
  }
  if (baseUrl !== undefined && !isBelow(whole(htu), baseUrl)) {
    return { admits: 'no', because: [`Its URL (htu) is not below BASE_URL, ${baseUrl}.`] }
  }
  return {
    admits: 'unknown',
    because: [
      'Its form, time and signature are good. Whether method, URL and token are those of the request, and whether it was used before, only the server knows.',
    ],
  }
}

function isBelow(htu: string, baseUrl: string): boolean {
  if (!URL.canParse(htu) || !URL.canParse(baseUrl)) return false
  const [target, base] = [new URL(htu), new URL(baseUrl)]
  const path = base.pathname.replace(/\/$/, '')
  return target.origin === base.origin && `${target.pathname}/`.startsWith(`${path}/`)
}

function keyFact(jwt: DecodedJwt): readonly (readonly [string, string])[] {
  try {
    return [['key (jkt)', readProof(jwt.token).jkt]]
  } catch {
    return []
  }
}

function whole(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing')
}

/** For people to read. */
function text(value: unknown): string {
  return whole(value).slice(0, 300)
}
