/** What is measured: servers, the requests they get, and what each is compared to. */
import { crowd, regulars, strangers } from './requests.js'

const remembered = strangers / 2
/** A cache that holds the crowd, and the few tokens that try out the server. */
const roomForCrowd = crowd + 100

/** Servers by name: a gate of `variants/`, its settings beyond the issuer's, whose tokens it takes instead. */
export const servers = {
  bare: { variant: 'bare' },
  'mcp-entra, Entra token': { variant: 'mcp-entra' },
  'mcp-entra, Entra token, 10,000': {
    variant: 'mcp-entra',
    settings: { maxVerifiedTokens: roomForCrowd },
  },
  'mcp-entra, Entra token, new': {
    variant: 'mcp-entra',
    settings: { maxVerifiedTokens: remembered },
  },
  'mcp-entra, own token': { variant: 'mcp-entra', settings: { ownTokens: regulars } },
  'mcp-entra, bound token (DPoP)': {
    variant: 'mcp-entra',
    settings: { ownTokens: regulars },
    bound: true,
  },
  'mcp-entra, own token, 10,000': {
    variant: 'mcp-entra',
    settings: { ownTokens: crowd, maxVerifiedTokens: roomForCrowd },
  },
  'mcp-entra, own token, new': {
    variant: 'mcp-entra',
    settings: { ownTokens: strangers, maxVerifiedTokens: remembered },
  },
  'fast-jwt, cache': { variant: 'fast-jwt', settings: { cache: 1000 } },
  'fast-jwt, cache, 10,000': { variant: 'fast-jwt', settings: { cache: roomForCrowd } },
  'fast-jwt': { variant: 'fast-jwt' },
  'jose by hand': { variant: 'jose' },
  'jose by hand, own token': { variant: 'jose', trusts: 'mcp-entra, own token, new' },
  'SDK v1 + jose': { variant: 'sdk-v1' },
  'SDK v2 + jose': { variant: 'sdk-v2' },
  'express-oauth2-jwt-bearer': { variant: 'express-oauth2-jwt-bearer' },
  'aws-jwt-verify': { variant: 'aws-jwt-verify' },
  '@node-rs/jsonwebtoken': { variant: 'node-rs' },
}

/** The bare route with Entra's tokens: visited all the time, so that every cell has a bare neighbour. */
export const pace = { name: 'bare', server: 'bare', tokens: 'seen' }

const bare = 'bare, again'
const bareOwn = 'bare, own token'
const bareBound = 'bare, bound token'

/** Requests that pass with a token that came before. `to` is the cell whose throughput and CPU are the measure. */
export const seen = [
  { name: bare, server: 'bare', tokens: 'seen', to: pace.name },
  { name: bareOwn, server: 'bare', tokens: 'ownSeen' },
  { name: bareBound, server: 'bare', tokens: 'bound', proves: true },
  passes('mcp-entra, Entra token', 'seen'),
  passes('mcp-entra, own token', 'ownSeen', bareOwn),
  { ...passes('mcp-entra, bound token (DPoP)', 'bound', bareBound), proves: true },
  passes('fast-jwt, cache', 'seen'),
  passes('mcp-entra, Entra token, 10,000', 'crowd'),
  passes('mcp-entra, own token, 10,000', 'ownCrowd', bareOwn),
  passes('fast-jwt, cache, 10,000', 'crowd'),
]

/** Routes that need the body. Each is compared to a bare route that parses it too. */
export const guarded = [
  { name: 'bare, express.json', server: 'bare', tokens: 'seen', path: '/parsed' },
  { name: 'bare, own token, express.json', server: 'bare', tokens: 'ownSeen', path: '/parsed' },
  ...guards('mcp-entra, Entra token', 'seen', 'bare, express.json'),
  ...guards('mcp-entra, own token', 'ownSeen', 'bare, own token, express.json'),
]

/** Requests that pass with a token that no gate remembers. */
export const unseen = [
  passes('mcp-entra, Entra token, new', 'new'),
  passes('jose by hand', 'new'),
  passes('SDK v1 + jose', 'new'),
  passes('SDK v2 + jose', 'new'),
  passes('express-oauth2-jwt-bearer', 'new'),
  passes('fast-jwt', 'new'),
  passes('aws-jwt-verify', 'new'),
  passes('@node-rs/jsonwebtoken', 'new'),
  passes('mcp-entra, own token, new', 'ownNew', bareOwn),
  passes('jose by hand, own token', 'ownNew', bareOwn),
]

/** Gates that have to refuse. */
export const refusers = {
  'mcp-entra': 'mcp-entra, Entra token',
  'jose by hand': 'jose by hand',
  'SDK v1': 'SDK v1 + jose',
  'SDK v2': 'SDK v2 + jose',
  'express-oauth2-jwt-bearer': 'express-oauth2-jwt-bearer',
  'fast-jwt, cache': 'fast-jwt, cache',
  'aws-jwt-verify': 'aws-jwt-verify',
  '@node-rs/jsonwebtoken': '@node-rs/jsonwebtoken',
}

/** What they refuse, by the kind of token. */
export const refusals = {
  'no token': 'none',
  garbage: 'garbage',
  'bad signature': 'badSignature',
  expired: 'expired',
}

const bareNone = 'bare, no token'

/** Requests that are refused, with tokens that never came before. A shorter look is enough for them. */
export const refused = [
  { name: bareNone, server: 'bare', tokens: 'none', share: 0.4 },
  ...Object.entries(refusals).flatMap(([what, tokens]) =>
    Object.entries(refusers).map(([gate, server]) => ({
      name: `${gate}: ${what}`,
      server,
      tokens,
      to: tokens === 'none' ? bareNone : pace.name,
      status: 401,
      share: 0.4,
    })),
  ),
]

function passes(server, tokens, to = pace.name) {
  return { name: server, server, tokens, to }
}

function guards(server, tokens, to) {
  return [
    { name: `${server}, express.json`, server, tokens, to, path: '/parsed' },
    { name: `${server}, tool guard`, server, tokens, to, path: '/guarded' },
    { name: `${server}, express.json, tool guard`, server, tokens, to, path: '/parsed-guarded' },
  ]
}
