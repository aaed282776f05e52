/** Grants in the store, as logins leave them there, without going through HTTP. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'

/** Logins that are written at the same time. */
const batch = 400
/** Seconds: as long as Entra's tokens of this bench. */
const upstreamLife = 60 * 24 * 3600

/**
 * Writes grants for a client.
 *
 * @returns the last `sample` of them, each with an access token and a refresh token of ours
 */
export async function fill(proxy, { count, sample, clientId, scope, tenantId }) {
  const client = createHash('sha256').update(clientId).digest('base64url')
  let kept = []
  for (let done = 0; done < count; done += batch) {
    const logins = Array.from({ length: Math.min(batch, count - done) }, async () => {
      const grant = login({ client, scope, tenantId, resource: proxy.resources[0].url })
      const sid = randomBytes(32).toString('base64url')
      await proxy.grants.begin(sid, grant)
      return { sid, grant }
    })
    kept = [...kept, ...(await Promise.all(logins))].slice(-sample)
  }
  return Promise.all(
    kept.map(async ({ sid, grant }) => ({
      sid,
      access: (await mint(proxy, sid, grant, clientId)).token,
      refresh: proxy.refreshTokens.issue(sid, grant.generation),
    })),
  )
}

/** @returns a new access token for each of these logins */
export async function mintTokens(proxy, { sids, clientId }) {
  const tokens = sids.map(async (sid) => {
    const { value: grant } = await proxy.grants.read(sid)
    return (await mint(proxy, sid, grant, clientId)).token
  })
  return Promise.all(tokens)
}

function mint({ accessTokens }, sid, grant, clientId) {
  return accessTokens.mint({ sid, grant, clientId, scopes: grant.scopes })
}

/** A grant as the callback and the token endpoint leave it in the store, as long as one of Entra's. */
function login({ client, scope, tenantId, resource }) {
  const now = Math.floor(Date.now() / 1000)
  const oid = randomUUID()
  const user = { oid, tid: tenantId, sub: randomBytes(32).toString('base64url') }
  return {
    user: {
      ...user,
      name: 'Adele Vance',
      username: `${oid.slice(0, 8)}@contoso.example`,
      roles: [],
    },
    client,
    scopes: [scope],
    requested: [scope],
    resource,
    upstream: {
      accessToken: upstreamToken({ ...user, scp: scope, exp: now + upstreamLife, ver: '2.0' }),
      expiresAt: now + upstreamLife,
      refreshToken: `${oid}.${randomBytes(900).toString('base64url')}`,
    },
    createdAt: now,
    renewedAt: now,
    generation: 0,
  }
}

/** In the form of a JWT, and as long as `issuer.js` makes them. Nobody verifies again what has been verified at login. */
function upstreamToken(claims) {
  const header = encode({ typ: 'JWT', alg: 'RS256', kid: randomBytes(20).toString('base64url') })
  const body = encode({ ...claims, pad: randomBytes(246).toString('hex') })
  return `${header}.${body}.${randomBytes(256).toString('base64url')}`
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
