/** `entraAuth`: options become the frozen context that all middlewares share. Everything is checked here, once. */
import type { ScopeStrategy } from './entra/scopes.js'
import type { GateContext } from './gate/context.js'
import type { ProxyContext } from './routes/context.js'
import { makeGateContext } from './setup/gate-context.js'
import type { EntraAuthOptions } from './setup/options.js'
import { makeProxyContext } from './setup/proxy-context.js'
import { readSettings } from './setup/settings.js'
import { makeTokenFloor } from './setup/token-floor.js'
import { makeUpstream } from './setup/upstream.js'

/** What `entraAuth` returns: hand it to the middlewares. */
export interface EntraAuth {
  readonly baseUrl: string
  readonly scopes: ScopeStrategy
  /** @internal */
  proxy(caller: string): ProxyContext
  /** @internal */
  gate(caller: string): GateContext
}

/**
 * The context that `oauthRoutes`, `requireBearer`, `oboToken` and `resourceMetadata` share.
 *
 * @throws TypeError that names the option and the remedy
 * @example
 * const auth = entraAuth({ baseUrl, tenantId, clientId, credential: clientSecret(secret), scopes, keys })
 */
export function entraAuth(options: EntraAuthOptions): EntraAuth {
  const settings = readSettings(options)
  const { ring, registered } = settings
  const tokens = ring && registered && makeTokenFloor(settings, { ring, registered })
  const upstream = makeUpstream(settings, tokens)
  const gate = makeGateContext(settings, upstream, tokens)
  return Object.freeze({
    baseUrl: settings.baseUrl,
    scopes: options.scopes,
    gate: () => gate,
    proxy: (caller: string) => makeProxyContext(caller, settings, upstream, tokens),
  })
}
