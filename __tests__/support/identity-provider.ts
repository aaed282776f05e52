/** An identity provider of a company: its metadata, its keys, and the assertions it makes. */
import { createHmac, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll } from '@jest/globals'
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, jwtVerify, SignJWT } from 'jose'

/** What to change about a good assertion. Undefined leaves a member out. */
export interface AssertionChanges {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: Readonly<Record<string, unknown>>
  readonly key?: CryptoKey
}

export interface IdentityProvider {
  /** Where it is: its issuer. */
  readonly url: string
  /** Paths that have been asked for. */
  readonly asked: string[]
  /** Its published keys: tests may change them. */
  readonly keys: JWK[]
  /** What its token endpoint has been sent. */
  readonly exchanges: URLSearchParams[]
  /** Answers instead of it; undefined means: itself. */
  answer: (path: string) => { status: number; body?: unknown } | undefined
  /** Of all its answers, besides their type. */
  headers: Readonly<Record<string, string>>
  /** A good assertion, with these changes. */
  assertion(changes?: AssertionChanges): Promise<string>
  /** An id token of a user, for the token exchange. */
  idToken(): Promise<string>
  /** Signs with a published key, as HS256 (an attack: the key is public). */
  hmac(claims: Readonly<Record<string, unknown>>): string
  /** Stops it, and frees its address. */
  close(): Promise<void>
}

export interface IdentityProviderOptions {
  /** Claims of every assertion: `aud`, `client_id`, and who the user is. */
  readonly claims: () => Readonly<Record<string, unknown>>
  /** A path below the origin. */
  readonly path?: string
  readonly alg?: 'ES256' | 'RS256'
  /** Milliseconds since the epoch. */
  readonly now?: () => number
}

const type = 'oauth-id-jag+jwt'
const closing: (() => Promise<void>)[] = []
afterAll(async () => void (await Promise.all(closing.map((close) => close()))))

export async function startIdentityProvider(
  options: IdentityProviderOptions,
): Promise<IdentityProvider> {
  const { claims, path = '', alg = 'ES256', now = Date.now } = options
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
  const kid = randomUUID()
  const keys: JWK[] = [{ ...(await exportJWK(publicKey)), kid, alg, use: 'sig' }]
  const server = createServer((req, res) => void serve(req, res))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const origin = `http://localhost:${(server.address() as AddressInfo).port}`
  const url = origin + path

  const sign = (payload: Record<string, unknown>, header: object, key = privateKey) =>
    new SignJWT(payload).setProtectedHeader({ alg, kid, ...header }).sign(key)

  const provider: IdentityProvider = {
    url,
    asked: [],
    keys,
    exchanges: [],
    answer: () => undefined,
    headers: {},
    assertion({ claims: changes = {}, header = {}, key } = {}) {
      const iat = Math.floor(now() / 1000)
      const own = { iss: url, sub: 'user-1', jti: randomUUID(), iat, exp: iat + 300 }
      return sign(leaveOut({ ...own, ...claims(), ...changes }), { typ: type, ...header }, key)
    },
    idToken() {
      const iat = Math.floor(now() / 1000)
      return sign({ iss: url, sub: 'user-1', aud: 'idp-client', iat, exp: iat + 3600 }, {})
    },
    hmac(payload) {
      const input = [{ alg: 'HS256', typ: type, kid }, payload]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.')
      const secret = JSON.stringify(keys[0])
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  closing.push(() => (server.listening ? provider.close() : Promise.resolve()))

  async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const asked = req.url ?? ''
    provider.asked.push(asked)
    const given = provider.answer(asked) ?? (await ownAnswer(asked, req))
    res.writeHead(given.status, { 'content-type': 'application/json', ...provider.headers })
    res.end(JSON.stringify(given.body ?? {}))
  }

  async function ownAnswer(asked: string, req: IncomingMessage) {
    if (asked === `${path}/.well-known/openid-configuration`) {
      const endpoints = {
        authorization_endpoint: `${url}/authorize`,
        token_endpoint: `${url}/token`,
      }
      const rest = { response_types_supported: ['code'], subject_types_supported: ['public'] }
      const algs = { id_token_signing_alg_values_supported: [alg] }
      return {
        status: 200,
        body: { issuer: url, jwks_uri: `${url}/keys`, ...endpoints, ...rest, ...algs },
      }
    }
    if (asked === `${path}/keys`) return { status: 200, body: { keys: provider.keys } }
    if (asked === `${path}/token`) return exchange(req)
    return { status: 404 }
  }

  /** RFC 8693: an id token for an assertion. */
  async function exchange(req: IncomingMessage) {
    const chunks: Buffer[] = []
    for await (const chunk of req) chunks.push(chunk as Buffer)
    const form = new URLSearchParams(Buffer.concat(chunks).toString())
    provider.exchanges.push(form)
    await jwtVerify(form.get('subject_token') ?? '', publicKey, { issuer: url })
    const [aud, resource] = [form.get('audience'), form.get('resource')]
    const scope = form.get('scope') ?? undefined
    return {
      status: 200,
      body: {
        issued_token_type: 'urn:ietf:params:oauth:token-type:id-jag',
        access_token: await provider.assertion({ claims: { aud, resource, scope } }),
        token_type: 'N_A',
        expires_in: 300,
      },
    }
  }
  return provider
}

function leaveOut(claims: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}
