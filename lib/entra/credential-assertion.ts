/** An assertion that the application gets itself: from a key vault, an HSM, another identity provider. */
import type { Clock } from '../async/clock.js'
import { cachedAssertion } from './assertion-cache.js'
import type { ClientCredential, CredentialContext } from './credentials.js'

/**
 * Authenticates with the JWT that the function returns. The function is called again when the JWT is about to expire,
 * and once when Entra has refused it as outdated (AADSTS700024). Only JWTs with an `exp` are cached.
 *
 * @throws TypeError when it is not a function: a fixed assertion would be refused as soon as it has expired
 * @see RFC 7523 section 3
 * @example
 * // On Google Cloud, the token of the machine's service account
 * const identity = 'http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/identity'
 * const credential = clientAssertion(async ({ exchangeAudience }) => {
 *   const url = `${identity}?${new URLSearchParams({ audience: exchangeAudience })}`
 *   return (await fetch(url, { headers: { 'Metadata-Flavor': 'Google' } })).text()
 * })
 */
export function clientAssertion(
  assertion: (context: CredentialContext) => string | Promise<string>,
  options: { readonly now?: Clock } = {},
): ClientCredential {
  if (typeof assertion !== 'function') {
    throw new TypeError(
      'clientAssertion: give a function that returns the assertion: a fixed one expires',
    )
  }
  const credential = cachedAssertion(async (context) => {
    const made = await assertion(context)
    if (typeof made === 'string' && made !== '') return made
    throw new TypeError('clientAssertion: the function returned no assertion')
  }, options)
  return function clientAssertionCredential(context) {
    return credential(context)
  }
}
