/** What is measured: servers, the requests they get, and what each is compared to. */
import { randomBytes } from 'node:crypto'
import { rawRequest } from './load.js'

/** Tokens of users who come again and again. */
const regulars = 64
/** Tokens for a gate that remembers half as many: taken in turn, each comes back when it is forgotten. */
const strangers = 512
const remembered = strangers / 2

/** Servers by name: a gate of `variants/`, its settings beyond the issuer's, whose tokens it takes instead. */
export const servers = {
  bare: { variant: 'bare' },
  'mcp-entra, Entra token, seen': { variant: 'mcp-entra' },
  'mcp-entra, Entra token, new': {
    variant: 'mcp-entra',
    settings: { maxVerifiedTokens: remembered },
  },
  'mcp-entra, own token, seen': { variant: 'mcp-entra', settings: { ownTokens: regulars } },
  'mcp-entra, own token, new': {
    variant: 'mcp-entra',
    settings: { ownTokens: strangers, maxVerifiedTokens: remembered },
  },
  'jose by hand': { variant: 'jose' },
  'jose by hand, own token': { variant: 'jose', trusts: 'mcp-entra, own token, new' },
  'SDK v1 + jose': { variant: 'sdk-v1' },
  'SDK v2 + jose': { variant: 'sdk-v2' },
  'express-oauth2-jwt-bearer': { variant: 'express-oauth2-jwt-bearer' },
}

/** Requests with each kind of token, as bytes. */
export function requestsOf(issuer, ownTokensOf) {
  const some = (count, token) => Array.from({ length: count }, () => rawRequest(token()))
  return {
    seen: some(regulars, () => issuer.token()),
    new: some(strangers, () => issuer.token()),
    ownSeen: ownTokensOf('mcp-entra, own token, seen').map(rawRequest),
    ownNew: ownTokensOf('mcp-entra, own token, new').map(rawRequest),
    none: [rawRequest()],
    garbage: some(8, garbage),
    badSignature: some(8, () => withAnotherSignature(issuer.token())),
    expired: some(8, () => issuer.token({ exp: Math.floor(Date.now() / 1000) - 3600 })),
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

/** Requests that pass. `to` is the cell whose throughput and CPU are the measure. */
export const passing = [
  { name: 'bare route (Entra token)', server: 'bare', requests: 'seen' },
  { name: 'bare route (own token)', server: 'bare', requests: 'ownSeen' },
  passes('mcp-entra, Entra token, seen', 'seen'),
  passes('mcp-entra, own token, seen', 'ownSeen', 'bare route (own token)'),
  passes('mcp-entra, Entra token, new', 'new'),
  passes('mcp-entra, own token, new', 'ownNew', 'bare route (own token)'),
  passes('jose by hand', 'new'),
  passes('jose by hand, own token', 'ownNew', 'bare route (own token)'),
  passes('SDK v1 + jose', 'new'),
  passes('SDK v2 + jose', 'new'),
  passes('express-oauth2-jwt-bearer', 'new'),
]

/** Requests that are refused. A shorter look is enough for them. */
export const refusing = [
  { name: 'bare route (no token)', server: 'bare', requests: 'none', share: 0.5 },
  ...[
    ['no token', 'none', 'bare route (no token)'],
    ['garbage', 'garbage'],
    ['bad signature', 'badSignature'],
    ['expired', 'expired'],
  ].flatMap(([what, requests, to]) => [
    refuses('mcp-entra, Entra token, seen', `mcp-entra: ${what}`, requests, to),
    refuses('jose by hand', `jose by hand: ${what}`, requests, to),
  ]),
]

function passes(server, requests, to = 'bare route (Entra token)') {
  return { name: server, server, requests, to }
}

function refuses(server, name, requests, to = 'bare route (Entra token)') {
  return { name, server, requests, to, status: 401, share: 0.5 }
}
