/** What the declarations of `EntraAuth` leave out: only this package's own middlewares use it, and some tests. */
import type { EntraAuth } from 'mcp-entra'
import type { ProxyContext } from '../../lib/routes/context.js'

/** The context that `oauthRoutes` works with. */
export function proxyContextOf(auth: EntraAuth, caller = 'a test'): ProxyContext {
  return (auth as EntraAuth & { proxy(caller: string): ProxyContext }).proxy(caller)
}
