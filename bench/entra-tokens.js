/** Tokens as Entra issues them: its claims, its usual length, RS256. */
import { createSign, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto'

export const tenantId = '8f0f6a3e-5b53-4c0f-9c41-2b8b7d0a1e11'
export const clientId = 'b3c1f9d2-0c44-4a53-8f0a-6d7f5e2c9a01'
/** Characters of a token: Entra's usual v2 access tokens have about as many. */
const tokenLength = 1200

/** What a gate or a proxy has to know of an Entra at this address, as plain JSON. */
export function entraSettings(url) {
  return {
    tenantId,
    clientId,
    authorityHost: url,
    issuer: `${url}/${tenantId}/v2.0`,
    jwksUri: `${url}/${tenantId}/discovery/v2.0/keys`,
    authorizationEndpoint: `${url}/${tenantId}/oauth2/v2.0/authorize`,
    tokenEndpoint: `${url}/${tenantId}/oauth2/v2.0/token`,
    audience: clientId,
    scope: 'notes.read',
  }
}

/** A signing key of Entra's: `jwk` for its key set, and `sign` from claims to a token. */
export function makeEntraKey(url) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const { n, e } = publicKey.export({ format: 'jwk' })
  const kid = randomBytes(20).toString('base64url')
  return {
    jwk: { kty: 'RSA', use: 'sig', kid, n, e, issuer: `${url}/{tenantid}/v2.0` },
    sign: (claims) => sign(claims, kid, privateKey),
  }
}

/** Claims of a user never seen before; `changes` overrides them. */
export function accessTokenClaims({ issuer }, changes) {
  const now = Math.floor(Date.now() / 1000)
  const oid = randomUUID()
  return {
    aud: clientId,
    iss: issuer,
    iat: now - 10,
    nbf: now - 10,
    exp: now + 4000,
    aio: randomBytes(60).toString('base64'),
    azp: '04b07795-8ddb-461a-bbee-02f9e1bf7b46',
    azpacr: '0',
    name: 'Adele Vance',
    oid,
    preferred_username: `${oid.slice(0, 8)}@contoso.example`,
    rh: randomBytes(30).toString('base64url'),
    scp: 'notes.read',
    sid: randomUUID(),
    sub: randomBytes(32).toString('base64url'),
    tid: tenantId,
    uti: randomBytes(16).toString('base64url'),
    ver: '2.0',
    ...changes,
  }
}

/** RS256 over claims padded to the usual size. */
function sign(payload, kid, privateKey) {
  const header = encode({ typ: 'JWT', alg: 'RS256', kid })
  const room = tokenLength - header.length - 2 - 342
  const missing = Math.floor((room * 3) / 4) - JSON.stringify(payload).length - ',"pad":""'.length
  const pad = randomBytes(Math.max(0, missing)).toString('hex').slice(0, Math.max(0, missing))
  const input = `${header}.${encode({ ...payload, pad })}`
  return `${input}.${createSign('sha256').update(input).sign(privateKey, 'base64url')}`
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
