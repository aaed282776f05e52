/** DPoP by hand: keys, proofs with anything in them, and requests that carry them. */
import { createHash, generateKeyPairSync, type KeyObject, randomUUID, sign } from 'node:crypto'
import { getCode, type LoginOptions, postForm, redirectUri, type Tokens } from './oauth-client.js'

/** A key pair of a client. */
export interface ProofKeyPair {
  readonly alg: 'ES256' | 'EdDSA' | 'RS256'
  readonly privateKey: KeyObject
  readonly jwk: Readonly<Record<string, unknown>>
  /** @see RFC 7638 */
  readonly jkt: string
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64url')

export function newKey(alg: ProofKeyPair['alg'] = 'ES256'): ProofKeyPair {
  const { privateKey, publicKey } =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : alg === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
  const jwk = publicKey.export({ format: 'jwk' }) as Record<string, unknown>
  const required = Object.fromEntries(Object.entries(jwk).sort(([a], [b]) => (a < b ? -1 : 1)))
  return { alg, privateKey, jwk, jkt: sha256(JSON.stringify(required)) }
}

/** What a proof says, beside what it says by itself; undefined leaves a member out. */
export interface ProofParts {
  readonly header?: Readonly<Record<string, unknown>>
  readonly claims?: Readonly<Record<string, unknown>>
  /** Signs in the place of the key itself. */
  readonly signer?: KeyObject
}

/** A good proof for this request, or whatever the parts make of it. */
export function proof(
  key: ProofKeyPair,
  method: string,
  url: string,
  token?: string,
  { header, claims, signer = key.privateKey }: ProofParts = {},
): string {
  const ath = token === undefined ? undefined : sha256(token)
  const iat = Math.floor(Date.now() / 1000)
  const head = { typ: 'dpop+jwt', alg: key.alg, jwk: key.jwk, ...header }
  const body = { jti: randomUUID(), htm: method, htu: url, iat, ath, ...claims }
  const input = `${encode(head)}.${encode(body)}`
  const digest = key.alg === 'EdDSA' ? null : 'sha256'
  const how = { key: signer, dsaEncoding: 'ieee-p1363' } as const
  return `${input}.${sign(digest, Buffer.from(input), how).toString('base64url')}`
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** Sends a token request with a proof. */
export function askToken(
  url: string,
  params: Record<string, string>,
  dpop: string | undefined,
): Promise<Response> {
  if (dpop === undefined) return postForm(`${url}/token`, params)
  const headers = { dpop }
  return fetch(`${url}/token`, { method: 'POST', headers, body: new URLSearchParams(params) })
}

/** Redeems a code, with a proof of this key for the URL. */
export function redeemBound(
  url: string,
  { code, verifier, clientId }: { code: string; verifier: string; clientId: string },
  key: ProofKeyPair,
  parts: ProofParts = {},
): Promise<Response> {
  const params = {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    client_id: clientId,
    redirect_uri: redirectUri,
  }
  return askToken(url, params, proof(key, 'POST', `${url}/token`, undefined, parts))
}

/** Refreshes with a proof of this key, or without any. */
export function refreshBound(
  url: string,
  { refresh_token, clientId }: { refresh_token: string; clientId: string },
  key: ProofKeyPair | undefined,
  more: Record<string, string> = {},
): Promise<Response> {
  const params = { grant_type: 'refresh_token', refresh_token, client_id: clientId, ...more }
  return askToken(url, params, key && proof(key, 'POST', `${url}/token`))
}

/** Logs in with this key. */
export async function loginBound(
  url: string,
  key: ProofKeyPair,
  options: LoginOptions = {},
): Promise<Tokens & { clientId: string }> {
  const code = await getCode(url, options)
  const response = await redeemBound(url, code, key)
  const body = (await response.json()) as Tokens
  if (response.status !== 200) throw new Error(`token: ${response.status} ${JSON.stringify(body)}`)
  return { ...body, clientId: code.clientId }
}

/** Sends a request with a bound token and this proof of it. */
export function askBound(
  url: string,
  token: string,
  dpop: string | undefined,
  method = 'GET',
): Promise<Response> {
  const headers = { authorization: `DPoP ${token}`, ...(dpop !== undefined && { dpop }) }
  return fetch(url, { method, headers })
}
