/** Which tenants' users may sign in. */
import { type EntraAuthority, isGuid } from './authority.js'
import { personalAccounts } from './clouds.js'
import type { Discovery } from './discovery.js'
import { tenantIdOf } from './tenant-id.js'

/** Whether users of a tenant may sign in; the tenant id is in lower case. */
export type TenantRule = (tid: string) => Promise<boolean>

/**
 * Makes the rule: the tenants of the list, any that the authority serves, or the authority's own.
 *
 * @throws TypeError when the authority serves many tenants and there is no list, or the list does not fit it
 */
export function tenantRule(
  authority: EntraAuthority,
  allowedTenants: readonly string[] | 'any' | undefined,
  discover: Discovery,
): TenantRule {
  if (allowedTenants === 'any' && authority.multiTenant) {
    return async (tid) => servesTenant(authority, tid)
  }
  if (allowedTenants !== undefined) {
    const allowed = readTenants(authority, allowedTenants)
    return async (tid) => allowed.has(tid)
  }
  if (authority.multiTenant) {
    throw new TypeError(
      `entraAuth: tenantId '${authority.tenantId}' lets users of every tenant sign in: list the tenants in allowedTenants, or set allowedTenants: 'any'`,
    )
  }
  const tenantId = tenantIdOf(authority, discover)
  return async (tid) => (await tenantId()) === tid
}

/** Whose accounts `consumers`, `organizations` and `common` stand for. */
function servesTenant({ tenantId }: EntraAuthority, tid: string): boolean {
  if (tenantId === 'consumers') return tid === personalAccounts
  return tenantId !== 'organizations' || tid !== personalAccounts
}

function readTenants(authority: EntraAuthority, given: unknown): ReadonlySet<string> {
  if (!Array.isArray(given) || given.length === 0 || !given.every(isGuid)) {
    throw new TypeError(
      "entraAuth: allowedTenants must be a list of Directory (tenant) IDs, or 'any' together with tenantId 'organizations' or 'common'",
    )
  }
  const allowed = new Set(given.map((id) => id.toLowerCase()))
  const { tenantId } = authority
  const fits = isGuid(tenantId)
    ? allowed.size === 1 && allowed.has(tenantId)
    : [...allowed].every((tid) => servesTenant(authority, tid))
  if (fits) return allowed
  const word = allowed.has(personalAccounts) ? 'common' : 'organizations'
  throw new TypeError(
    `entraAuth: allowedTenants names tenants that cannot sign in at tenantId: set tenantId to '${word}'`,
  )
}
