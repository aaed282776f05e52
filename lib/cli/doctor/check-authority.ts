/** The authority: whether the tenant exists there, with its keys, and what time it is. */
import { aadstsCodesIn } from '../../entra/aadsts-codes.js'
import { type EntraAuthority, isGuid } from '../../entra/authority.js'
import { tenantOfIssuer } from '../../entra/discovery.js'
import { outcomeByCode } from '../../entra/error-codes.js'
import { checkClock } from './clock.js'
import { type Finding, failure, ok } from './finding.js'
import { look } from './look.js'

/** @see OpenID Connect Discovery 1.0, section 4 */
export async function checkAuthority(
  authority: EntraAuthority,
  now: () => number,
): Promise<readonly Finding[]> {
  const answer = await look(authority.openidConfiguration)
  if (answer.trouble !== undefined) {
    const remedy = `let this machine reach ${authority.host}, or correct AZURE_AUTHORITY_HOST`
    return [failure('authority', answer.trouble, remedy)]
  }
  const clock = checkClock(new URL(authority.host).host, answer.headers.date, now())
  if (answer.status !== 200) return [tenantTrouble(authority, answer.status, answer.json), ...clock]
  return [checkIssuer(authority, answer.json.issuer), await checkSigningKeys(authority), ...clock]
}

function tenantTrouble(
  { host, tenantId }: EntraAuthority,
  status: number,
  { error_description: description }: Readonly<Record<string, unknown>>,
): Finding {
  const [code] = aadstsCodesIn(String(description ?? ''))
  const hint = code === undefined ? undefined : outcomeByCode.get(code)?.hint
  const says = `${host} knows no tenant ${tenantId} (HTTP ${status}${code === undefined ? '' : `, AADSTS${code}`})`
  const remedy = 'AZURE_TENANT_ID is the Directory (tenant) ID of the registration’s Overview'
  return failure('tenant', says, hint ?? remedy)
}

function checkIssuer(
  { tenantId, multiTenant, openidConfiguration }: EntraAuthority,
  issuer: unknown,
): Finding {
  const tid = typeof issuer === 'string' ? tenantOfIssuer(issuer) : undefined
  const isOwn = multiTenant || (isGuid(tenantId) ? tid === tenantId : tid !== undefined)
  if (isOwn) return ok('tenant', `its issuer is ${String(issuer)}`)
  const says = `${openidConfiguration} names another tenant's issuer: ${String(issuer).slice(0, 200)}`
  return failure(
    'tenant',
    says,
    'compare AZURE_TENANT_ID and AZURE_AUTHORITY_HOST with the registration’s Overview > Endpoints',
  )
}

async function checkSigningKeys({ jwksUri }: EntraAuthority): Promise<Finding> {
  const answer = await look(jwksUri)
  const keys = answer.trouble === undefined && answer.status === 200 ? answer.json.keys : undefined
  if (Array.isArray(keys) && keys.length > 0)
    return ok('signing keys', `${keys.length} keys of Entra`)
  const says = answer.trouble ?? `HTTP ${answer.status} without keys: no token can be verified`
  return failure('signing keys', says, `let this machine reach ${jwksUri}`)
}
