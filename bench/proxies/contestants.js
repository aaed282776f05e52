/** The proxies that are compared, and what each of them does for its time. */

/**
 * `module` is a file of `contestants/`, `settings` are its own. What is unfair about a comparison: who shows a consent
 * page, seals its records, asks an upstream, verifies what comes from there, and issues tokens of its own.
 */
export const contestants = {
  'bare reference': {
    module: 'reference',
    does: ['no', 'yes', 'yes', 'no', 'HS256', 'in memory'],
  },
  'SDK v1': {
    module: 'sdk-v1',
    does: ['no', 'no', 'yes', 'no', "no: hands out Entra's", 'clients in memory, nothing else'],
  },
  'npm fastmcp': {
    module: 'fastmcp',
    settings: { consent: false },
    does: ['no', 'yes', 'yes', 'no', 'HS256', 'in memory'],
  },
  'npm fastmcp, consent': {
    module: 'fastmcp',
    settings: { consent: true },
    does: ['yes', 'yes', 'yes', 'no', 'HS256', 'in memory'],
  },
  'oidc-provider': {
    module: 'oidc-provider',
    scope: 'openid notes.read',
    does: ['no', 'no', 'no', 'nothing to verify', 'ES256', 'in memory, the last 1,000 records'],
  },
  'mcp-entra, memory': ours('memory', 'in memory'),
  'mcp-entra, LMDB': ours('file', 'on disk, flushed before it counts'),
  'mcp-entra, Redis': { ...ours('redis', 'in Redis'), needsRedis: true },
}

/** Headings of `does`. */
export const duties = [
  'consent page',
  'sealed records',
  'upstream',
  "verifies Entra's tokens",
  'own tokens',
  'where',
]

function ours(storage, where) {
  return {
    module: 'mcp-entra',
    settings: { storage },
    does: ['yes', 'yes', 'yes', 'yes', 'ES256', where],
  }
}
