/** What is sent to the gates, as bytes: an MCP client's call of a tool, with each kind of token. */
import { randomBytes } from 'node:crypto'

const body = JSON.stringify({
  jsonrpc: '2.0',
  id: 7,
  method: 'tools/call',
  params: { name: 'read_notes', arguments: { query: 'groceries', limit: 20, folder: 'home' } },
})

/** A request, without `Authorization` when there is no token. */
export function rawRequest(token, path = '/r') {
  const lines = [
    `POST ${path} HTTP/1.1`,
    'Host: localhost',
    ...(token === undefined ? [] : [`Authorization: Bearer ${token}`]),
    'Accept: application/json, text/event-stream',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n${body}`)
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
