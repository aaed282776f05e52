/** AADSTS codes, from the table the server itself acts by. */
import { outcomeByCode } from '../../entra/error-codes.js'
import type { EntraFailureKind } from '../../entra/errors.js'
import type { Explanation } from './explanation.js'

/** What a failure at Entra means, and what our server makes of it. */
export const kinds: Readonly<Record<EntraFailureKind, readonly [means: string, answer: string]>> = {
  invalid_grant: [
    'The login has ended: the user has to sign in again.',
    'A refresh is answered with invalid_grant, and the client logs in again.',
  ],
  interaction_required: [
    'Entra wants more of the user: MFA, a compliant device, or a new sign-in.',
    'On-behalf-of is answered with 401 insufficient_claims, or with a URL in the session: the next login, or the URL, carries the challenge to Entra.',
  ],
  consent_required: [
    'Nobody has consented to this access.',
    'On-behalf-of is answered with 401, or with a URL in the session: the next login, or the URL, asks the user for consent. If that did not help, with 403 and a link for the administrator.',
  ],
  access_denied: ['This user is not allowed.', 'The login ends in access_denied.'],
  invalid_assertion: [
    'The token given to on-behalf-of cannot be used.',
    'The login is renewed, or the client gets 401 invalid_token.',
  ],
  app_only: [
    'On-behalf-of needs a user, and the caller is an application.',
    'The client gets 403: it has to call the downstream API itself.',
  ],
  misconfigured: [
    'The app registration and the server do not agree: only the operator can help.',
    'The client gets 503 or server_error, and the log names this code.',
  ],
  unavailable: [
    'Entra is busy or out of order: nothing is lost.',
    'The client gets 503 with Retry-After.',
  ],
}

/** @see https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
export function explainCode(code: number): Explanation {
  const outcome = outcomeByCode.get(code)
  const lookUp = `https://login.microsoftonline.com/error?code=${code}`
  if (!outcome) {
    return {
      kind: 'aadsts-code',
      summary: `AADSTS${code} is not among the codes this server knows.`,
      facts: [
        ['what the server does', 'It goes by the error code beside it, such as invalid_grant.'],
      ],
      remedies: [`Look it up: ${lookUp}`],
    }
  }
  const [means, answer] = kinds[outcome.kind]
  return {
    kind: 'aadsts-code',
    summary: `AADSTS${code}: ${means}`,
    facts: [
      ['kind', outcome.kind],
      ['what the server does', answer],
      ...(outcome.retryAfter === undefined
        ? []
        : [['wait', `${outcome.retryAfter} seconds`] as const]),
      ['Microsoft says', lookUp],
    ],
    remedies: outcome.hint === undefined ? [] : [outcome.hint],
  }
}
