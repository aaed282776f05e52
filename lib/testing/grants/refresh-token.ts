/** The refresh grant: any resource with consent, and a new refresh token while the old one stays valid. */
import { isUserOf } from '../authority.js'
import { requireProof } from '../client-authentication.js'
import type { Emulation, RefreshRecord } from '../emulation.js'
import { refuse, required } from '../errors.js'
import { parseScope, type ScopeRequest } from '../scopes.js'
import { userAnswer } from '../token-answer.js'
import type { TokenRequest } from './grant.js'
import { checkOrigin } from './origin.js'

/** Redeems a refresh token. */
export function refreshToken(emulation: Emulation, request: TokenRequest): Record<string, unknown> {
  const { client, params } = request
  const record = findRefreshToken(emulation, request)
  checkOrigin(request.origin, record.spa)
  if (!record.spa) requireProof(client)
  const scopes = scopesOf(emulation, request, record)
  const { user, spa, expiresAt } = record
  // All refresh tokens of a single-page app expire when the first one does.
  const refresh = spa ? { spa, expiresAt } : { spa }
  return userAnswer(emulation, { client, user, params, scopes, refresh })
}

function findRefreshToken(emulation: Emulation, request: TokenRequest): RefreshRecord {
  const { authority, client, params } = request
  const record = emulation.refreshTokens.get(required(params, 'refresh_token'))
  if (!record) return refuse(9002313, 'Invalid request. Request is malformed or invalid.')
  if (record.clientId !== client.app.clientId) {
    refuse(70000, 'Provided grant is invalid or malformed: it was issued to another application.')
  }
  if (!isUserOf(authority, record.user)) {
    refuse(
      50020,
      `User account '${record.user.username}' does not exist in tenant '${authority.id}'.`,
    )
  }
  if (record.revoked) {
    refuse(
      50173,
      'The provided grant has expired due to it being revoked, a fresh auth token is needed.',
    )
  }
  if (record.expiresAt <= emulation.clock.now()) refuseExpired(record)
  return record
}

function refuseExpired({ spa }: RefreshRecord): never {
  if (spa) {
    return refuse(
      700084,
      'The refresh token was issued to a single page app (SPA), and therefore has a fixed, limited lifetime of 1.00:00:00.',
    )
  }
  return refuse(700082, 'The refresh token has expired due to inactivity.')
}

/** Without `scope` Entra uses the scopes of the sign-in, unless the app would get a token for itself. */
function scopesOf(
  emulation: Emulation,
  request: TokenRequest,
  record: RefreshRecord,
): ScopeRequest {
  const { client, params } = request
  if (params.scope) return parseScope(emulation.directory, params.scope, client.app)
  const own = record.scopes.resources.some(({ app }) => app.clientId === client.app.clientId)
  if (!own) return record.scopes
  return refuse(
    90009,
    `Application '${client.app.clientId}'(${client.app.name}) is requesting a token for itself. ` +
      'This scenario is supported only if resource is specified using the GUID based App Identifier.',
  )
}
