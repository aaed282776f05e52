/** Entra for the growth bench: it answers at once, and keeps nothing: who is meant stands in codes and tokens. */
import { randomBytes } from 'node:crypto'
import { answerParent } from '../answer-parent.js'
import { startIssuer } from '../issuer.js'

/** Seconds for which its tokens are good: longer than the clock of the servers ever runs ahead. */
const lifetime = 60 * 24 * 3600

const issuer = await startIssuer(grant)

answerParent({ settings: () => issuer.settings, tokens })

/** @returns access tokens of so many users */
function tokens(count) {
  return Array.from({ length: count }, () => issuer.token(times()))
}

/** An answer of the token endpoint. */
function grant(form) {
  const answer = { token_type: 'Bearer', expires_in: lifetime }
  switch (form.get('grant_type')) {
    case 'authorization_code': {
      const { oid, nonce } = JSON.parse(Buffer.from(form.get('code'), 'base64url').toString())
      return { ...answer, ...userTokens(oid), id_token: issuer.token({ ...times(), oid, nonce }) }
    }
    case 'refresh_token':
      return { ...answer, ...userTokens(form.get('refresh_token').split('.', 1)[0]) }
    default:
      return { ...answer, access_token: randomBytes(1100).toString('base64url') }
  }
}

function userTokens(oid) {
  return {
    access_token: issuer.token({ ...times(), oid }),
    refresh_token: upstreamRefreshToken(oid),
  }
}

/** As long as Entra's are. */
function upstreamRefreshToken(oid) {
  return `${oid}.${randomBytes(900).toString('base64url')}`
}

/** The servers' clock stands still between its jumps, so tokens were issued yesterday. */
function times() {
  const now = Math.floor(Date.now() / 1000)
  return { iat: now - 86_400, nbf: now - 86_400, exp: now + lifetime }
}
