/** What is sent to the gates, as bytes: an MCP client's call of a tool, with each kind of token. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'

const body = JSON.stringify({
  jsonrpc: '2.0',
  id: 7,
  method: 'tools/call',
  params: { name: 'read_notes', arguments: { query: 'groceries', limit: 20, folder: 'home' } },
})

/** A request, without `Authorization` when there is no token. @param headers lines in place of a bearer token */
export function rawRequest(token, path = '/r', headers = [`Authorization: Bearer ${token}`]) {
  const lines = [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    ...(token === undefined ? [] : headers),
    'Accept: application/json, text/event-stream',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
}

const sha256 = (text) => createHash('sha256').update(text).digest('base64url')

/** A client's key for DPoP (ES256), and requests with a proof by it, which is new each time. */
export function makeDpopKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { crv, kty, x, y } = publicKey.export({ format: 'jwk' })
  const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const head = part({ typ: 'dpop+jwt', alg: 'ES256', jwk: { crv, kty, x, y } })
  const prove = (claims) => {
    const input = `${head}.${part(claims)}`
    const key = { key: privateKey, dsaEncoding: 'ieee-p1363' }
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`
  }
  return {
    jkt: sha256(JSON.stringify({ crv, kty, x, y })),
    request(token, url) {
      const jti = randomBytes(16).toString('base64url')
      const iat = Math.floor(Date.now() / 1000)
      const proof = prove({ jti, htm: 'POST', htu: url, iat, ath: sha256(token) })
      return rawRequest(token, new URL(url).pathname, [
        `Authorization: DPoP ${token}`,
        `DPoP: ${proof}`,
      ])
    },
  }
}

/** Users who come again and again. */
export const regulars = 500
/** As many users as a gate remembers by default. */
export const crowd = 10_000
/** Tokens for a gate that remembers half as many: taken in turn, each comes back when it is forgotten. */
export const strangers = 1024

/** Tokens by kind. @param own tokens that servers have issued themselves, by the server's name */
export function makeTokens(issuer, own) {
  const some = (count, make) => Array.from({ length: count }, () => make())
  const good = some(crowd, () => issuer.token())
  const signed = issuer.token()
  const hourAgo = Math.floor(Date.now() / 1000) - 3600
  return {
    seen: good.slice(0, regulars),
    crowd: good,
    new: good.slice(0, strangers),
    ownSeen: own['mcp-entra, own token'],
    bound: own['mcp-entra, bound token (DPoP)'],
    ownCrowd: own['mcp-entra, own token, 10,000'],
    ownNew: own['mcp-entra, own token, new'],
    none: [undefined],
    garbage: some(strangers, garbage),
    badSignature: some(strangers, () => withAnotherSignature(signed)),
    expired: some(strangers, () => issuer.token({ exp: hourAgo })),
  }
}

/** Three base64url parts of nothing, as long as a real token. */
export function garbage() {
  return [48, 700, 256].map((length) => randomBytes(length).toString('base64url')).join('.')
}

function withAnotherSignature(token) {
  const input = token.slice(0, token.lastIndexOf('.'))
  return `${input}.${randomBytes(256).toString('base64url')}`
}
