/** Gates whose verification a test replaces. What they share is internal, and so not in the declarations. */
import type { EntraAuth } from 'mcp-entra'
import type { GateContext } from '../../lib/gate/context.js'
import type { VerifyToken } from '../../lib/gate/verified-tokens.js'

/** As `lib/` sees it. */
interface WithGate extends EntraAuth {
  gate(caller: string): GateContext
}

/** The same server, but whose gates verify tokens with this. */
export function verifyingWith(auth: EntraAuth, verify: VerifyToken): EntraAuth {
  const context = { ...(auth as WithGate).gate('test'), verify }
  return { ...auth, gate: () => context } as WithGate
}
