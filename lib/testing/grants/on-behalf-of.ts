/** On-behalf-of: exchanges a user's token for this app for a token of another resource. */
import type { Authority } from '../authority.js'
import { issuerOf } from '../claims.js'
import { requireProof } from '../client-authentication.js'
import type { EntraApp, EntraUser } from '../directory.js'
import type { Emulation } from '../emulation.js'
import { refuse, required } from '../errors.js'
import { hasValidSignature, type JsonObject, readJwt } from '../jwt.js'
import type { Params } from '../messages.js'
import { parseScope } from '../scopes.js'
import { userAnswer } from '../token-answer.js'
import type { TokenRequest } from './grant.js'
import { checkOrigin } from './origin.js'

/** Exchanges a user's token. @see Microsoft identity platform, "OAuth 2.0 On-Behalf-Of flow" */
export function onBehalfOf(emulation: Emulation, request: TokenRequest): Record<string, unknown> {
  const { client, params } = request
  const assertion = required(params, 'assertion')
  checkTokenUse(params)
  checkOrigin(request.origin, false)
  requireProof(client)
  const scopes = parseScope(emulation.directory, required(params, 'scope'), client.app)
  const user = userOfAssertion(emulation, request.authority, client.app, assertion)
  const refresh = scopes.oidc.includes('offline_access') ? { spa: false } : undefined
  emulation.mfa.check(user, params.claims)
  const answer = userAnswer(emulation, { client, user, params, scopes, refresh })
  emulation.graphChallenges.recordToken(user, params.claims, String(answer.access_token))
  return answer
}

function checkTokenUse(params: Params): void {
  const use = required(params, 'requested_token_use')
  if (use === 'on_behalf_of') return
  refuse(90014, `The value '${use}' of the required field 'requested_token_use' is not supported.`)
}

function userOfAssertion(
  emulation: Emulation,
  authority: Authority,
  client: EntraApp,
  assertion: string,
): EntraUser {
  const jwt = readJwt(assertion)
  if (!jwt) return refuse(50027, 'JWT token is invalid or malformed.')
  const { claims } = jwt
  if (!hasValidSignature(jwt, emulation.keys.published)) {
    refuse(
      50013,
      'Assertion failed signature validation. [Reason - Key was not found or does not match.]',
    )
  }
  checkIssuer(emulation, authority, claims)
  checkAudience(emulation, client, claims)
  checkTime(emulation, claims)
  return userOf(emulation, claims)
}

function checkIssuer(emulation: Emulation, authority: Authority, { iss, tid }: JsonObject): void {
  const issuers = [1, 2] as const
  const known = issuers.some((version) => iss === issuerOf(emulation, String(tid), version))
  if (known && (authority.kind === 'any' || tid === authority.id)) return
  refuse(
    50013,
    'Assertion failed signature validation. [Reason - The issuer is not a trusted one.]',
  )
}

/** The audience is compared exactly: an App ID URI in capitals does not match. */
function checkAudience(emulation: Emulation, client: EntraApp, { aud }: JsonObject): void {
  // Users' tokens are for the blueprint, and one of its agents exchanges them.
  const { clientId, identifierUris } = emulation.directory.app(client.blueprint ?? '') ?? client
  const own = [clientId, ...identifierUris, ...identifierUris.map((uri) => `${uri}/`)]
  if (own.some((audience) => audience === aud)) return
  refuse(
    500131,
    'Assertion audience does not match the Client app presenting the assertion. ' +
      `The audience in the assertion was '${aud}' and the expected audience is '${clientId}'.`,
  )
}

function checkTime({ clock }: Emulation, { nbf, exp }: JsonObject): void {
  const now = clock.now()
  if (Number(nbf) <= now && now < Number(exp)) return
  refuse(
    500133,
    'Assertion is not within its valid time range. Ensure that the access token is not expired before using it for user assertion.',
  )
}

function userOf({ directory }: Emulation, { idtyp, scp, oid, tid }: JsonObject): EntraUser {
  if (idtyp === 'app' || scp === undefined) {
    refuse(
      7000114,
      "Application is not allowed to make application on-behalf-of calls: 'app' token.",
    )
  }
  const user = directory.user({ oid: String(oid), tid: String(tid) })
  return user ?? refuse(50034, 'The user account does not exist in the directory.')
}
