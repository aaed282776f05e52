import { OAuthError } from '../../lib/oauth/errors.js'

/** What a client would be told of an attempt; an attempt that succeeds is an error of the test. */
export function refusal(attempt: () => unknown): { error: string; error_description: string } {
  try {
    attempt()
  } catch (error) {
    if (error instanceof OAuthError) return error.toBody()
    throw error
  }
  throw new Error('it was not refused')
}
