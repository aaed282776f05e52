/** Our gate, with tokens of Entra's and of our own, alone or with the guard of MCP tools behind it. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import express from 'express'
import { clientSecret, entraAuth, entraScopes, requireBearer, scopeGuard } from 'mcp-entra'

/** @param settings of the issuer, and: `ownTokens` (how many to mint), `jkt` (bound to which key), `upstreamToken`, `maxVerifiedTokens` */
export async function makeGate(settings) {
  const { baseUrl, tenantId, clientId, authorityHost, scope, ownTokens, maxVerifiedTokens } =
    settings
  const auth = entraAuth({
    baseUrl,
    tenantId,
    clientId,
    authorityHost,
    resources: ['/r'],
    credential: clientSecret('x'.repeat(30)),
    scopes: entraScopes({ clientId, required: [scope] }),
    keys: [randomBytes(32).toString('base64')],
    ...(maxVerifiedTokens && { maxVerifiedTokens }),
  })
  const gate = requireBearer(auth)
  const guard = scopeGuard(auth, { tools: { read_notes: scope } })
  return {
    middlewares: [gate],
    more: {
      '/parsed': [gate, express.json()],
      '/guarded': [gate, guard],
      '/parsed-guarded': [gate, express.json(), guard],
    },
    own: ownTokens && (await issue(auth, settings)),
  }
}

/** Tokens of our own, and what a peer needs to verify them. */
async function issue(auth, settings) {
  const { accessTokens, baseUrl, grants, resources, ring } = auth.proxy('bench')
  const [{ url: resource }] = resources
  const clientId = randomBytes(150).toString('base64url')
  const tokens = Array.from({ length: settings.ownTokens }, async () => {
    const grant = { ...login(settings, clientId), resource }
    const sid = randomBytes(32).toString('base64url')
    await grants.begin(sid, grant)
    const { scopes } = grant
    const { jkt } = settings
    return (await accessTokens.mint({ sid, grant, clientId, scopes, jkt })).token
  })
  return {
    tokens: await Promise.all(tokens),
    keys: ring.all.map(({ signing }) => signing.jwk),
    issuer: baseUrl,
    audience: resource,
    algorithm: 'ES256',
  }
}

/** A grant as the callback and the token endpoint leave it in the store. */
function login({ tenantId, scope, upstreamToken }, clientId) {
  const now = Math.floor(Date.now() / 1000)
  return {
    user: {
      oid: randomUUID(),
      tid: tenantId,
      sub: randomBytes(32).toString('base64url'),
      name: 'Adele Vance',
      username: 'adele@contoso.example',
      roles: [],
    },
    client: createHash('sha256').update(clientId).digest('base64url'),
    scopes: [scope],
    requested: [scope],
    upstream: {
      accessToken: upstreamToken,
      expiresAt: now + 4000,
      refreshToken: randomBytes(900).toString('base64url'),
    },
    createdAt: now,
    renewedAt: now,
    generation: 0,
  }
}
