import { OAuthError } from '../../lib/oauth/errors.js'

/** The error body that a refused attempt sends to the client. Throws when the attempt succeeds. */
export function refusal(attempt: () => unknown): { error: string; error_description: string } {
  try {
    attempt()
  } catch (error) {
    if (error instanceof OAuthError) return error.toBody()
    throw error
  }
  throw new Error('it was not refused')
}
