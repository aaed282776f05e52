/** An assertion that the application gets by itself: from a key vault, an HSM, another identity provider. */
import { cachedAssertion } from './assertion-cache.js'
import type { ClientCredential, CredentialContext } from './credentials.js'

/**
 * Proves with the JWT the function returns. It is asked again when that nears its `exp`, and once when Entra
 * has refused it as outdated (AADSTS700024); a text without an `exp` is asked for at every request.
 *
 * @throws TypeError when it is no function: a fixed assertion would be refused as soon as it has expired
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
  options: { readonly now?: () => number } = {},
): ClientCredential {
  if (typeof assertion !== 'function') {
    throw new TypeError(
      'clientAssertion: give a function that returns the assertion: a fixed one expires',
    )
  }
  const credential = cachedAssertion(checked, options)
  async function checked(context: CredentialContext): Promise<string> {
    const made = await assertion(context)
    if (typeof made === 'string' && made !== '') return made
    throw new TypeError('clientAssertion: the function returned no assertion')
  }
  return function clientAssertionCredential(context) {
    return credential(context)
  }
}
