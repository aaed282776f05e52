/** The code grant: checks the code, then issues the tokens. */
import { createHash } from 'node:crypto'
import { requireProof } from '../client-authentication.js'
import type { CodeRecord, Emulation } from '../emulation.js'
import { refuse, required } from '../errors.js'
import type { Params } from '../messages.js'
import { parseScope } from '../scopes.js'
import { userAnswer } from '../token-answer.js'
import type { TokenRequest } from './grant.js'
import { checkOrigin } from './origin.js'

/** Redeems an authorization code. */
export function authorizationCode(
  emulation: Emulation,
  request: TokenRequest,
): Record<string, unknown> {
  const { client, params } = request
  const code = findCode(emulation, request)
  checkOrigin(request.origin, code.spa)
  if (!code.spa) requireProof(client)
  checkRedirectUri(code, params)
  checkVerifier(code, params)
  const scopes = parseScope(emulation.directory, requiredScope(params), client.app)
  const offline = [scopes, code.scopes].every(({ oidc }) => oidc.includes('offline_access'))
  const refresh = offline ? { spa: code.spa } : undefined
  const { user, nonce } = code
  const answer = userAnswer(emulation, { client, user, params, scopes, nonce, refresh })
  code.redeemed = true
  return answer
}

function findCode(emulation: Emulation, request: TokenRequest): CodeRecord {
  const code = emulation.codes.get(required(request.params, 'code'))
  if (!code) return refuse(9002313, 'Invalid request. Request is malformed or invalid.')
  if (code.authorityId !== request.authority.id) {
    refuse(
      700005,
      'Provided Authorization Code is intended to use against other tenant, thus rejected.',
    )
  }
  if (code.clientId !== request.client.app.clientId) {
    refuse(70000, 'Provided grant is invalid or malformed: it was issued to another application.')
  }
  if (code.redeemed) {
    refuse(
      54005,
      'OAuth2 Authorization code was already redeemed, please retry with a new valid code.',
    )
  }
  if (code.expiresAt <= emulation.clock.now()) {
    refuse(70008, 'The provided authorization code or refresh token has expired due to inactivity.')
  }
  return code
}

function requiredScope({ scope }: Params): string {
  if (scope) return scope
  return refuse(
    28003,
    'Provided value for the input parameter scope cannot be empty when requesting an access token ' +
      'using the provided authorization code. Please specify a valid scope.',
  )
}

function checkRedirectUri({ redirectUri }: CodeRecord, params: Params): void {
  const sent = params.redirect_uri
  if (sent === redirectUri) return
  if (!sent) {
    refuse(
      700009,
      'Reply address must be provided when presenting an authorization code requested with an explicit reply address.',
    )
  }
  refuse(
    500112,
    `The reply address '${sent}' does not match the reply address '${redirectUri}' provided when requesting Authorization code.`,
  )
}

function checkVerifier({ challenge, challengeMethod, spa }: CodeRecord, params: Params): void {
  const { code_verifier: verifier } = params
  if (challenge === undefined) {
    if (spa)
      refuse(9002325, 'Proof Key for Code Exchange is required for cross-origin code redemption.')
    return
  }
  if (!verifier) {
    refuse(
      50148,
      'The code_verifier does not match the code_challenge supplied in the authorization request for PKCE.',
    )
  }
  const hash = createHash('sha256').update(verifier).digest('base64url')
  if ((challengeMethod === 'S256' ? hash : verifier) === challenge) return
  refuse(
    501481,
    'The Code_Verifier does not match the code_challenge supplied in the authorization request.',
  )
}
