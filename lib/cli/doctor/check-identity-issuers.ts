/** The identity providers that let clients in: well written down, and their keys within reach. */
import { monotonicNow } from '../../async/monotonic-now.js'
import { OAuthError } from '../../oauth/errors.js'
import { type IdentityIssuer, keysOf, readIdentityOptions } from '../../setup/identity-options.js'
import { type Finding, failure, ok } from './finding.js'

const check = 'identity providers'
const example = '[{"issuer":"https://contoso.okta.com"}]'

/** @param given `MCP_ENTRA_IDENTITY_ASSERTIONS` */
export async function checkIdentityIssuers(given: string | undefined): Promise<readonly Finding[]> {
  if (!given?.trim()) return []
  try {
    const { issuers } = readIdentityOptions(parse(given))
    const onStale = () => undefined
    const keys = keysOf(issuers, { fetching: {}, onStale, now: Date.now, monotonic: monotonicNow })
    return await Promise.all(
      issuers.map(async (issuer) => {
        try {
          const found = await keys.find(issuer)
          return ok(check, `${issuer.issuer}: its keys are within reach, ${found.length} of them`)
        } catch (error) {
          return unreachable(issuer.issuer, error)
        }
      }),
    )
  } catch (error) {
    const says = (error as Error).message.replace('entraAuth: identityAssertions', variable)
    return [failure(check, says, `write it like ${example}`)]
  }
}

const variable = 'MCP_ENTRA_IDENTITY_ASSERTIONS'

function parse(given: string): readonly IdentityIssuer[] {
  const list: unknown = parseJson(given)
  if (!Array.isArray(list)) throw new TypeError(`${variable} must be a JSON array`)
  return list.map((each) => ({ ...Object(each), mapUser: () => undefined }))
}

function parseJson(given: string): unknown {
  try {
    return JSON.parse(given)
  } catch (error) {
    throw new TypeError(`${variable} is not JSON: ${(error as Error).message}`)
  }
}

function unreachable(issuer: string, error: unknown): Finding {
  const cause = error instanceof OAuthError ? error.cause : error
  return failure(
    check,
    `${issuer}: ${(cause as Error).message}: nobody can come in by it`,
    'its metadata must be at the issuer + /.well-known/openid-configuration, name the issuer exactly and have a jwks_uri; else say jwksUri',
  )
}
