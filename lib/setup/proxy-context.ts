/** What the endpoints of the proxy work with, out of the settings. */
import { cookieFamily } from '../http/cookies.js'
import type { ProxyContext } from '../routes/context.js'
import { needed } from './needed.js'
import type { Settings } from './settings.js'
import type { TokenFloor } from './token-floor.js'
import type { Upstream } from './upstream.js'

/** Logins that one browser may have under way at once. */
const mostLogins = 10

/** @throws TypeError, in the words of `caller`, without `credential` or `keys`, and in direct mode */
export function makeProxyContext(
  caller: string,
  settings: Settings,
  { verifier, tokenEndpoint }: Upstream,
  tokens: TokenFloor | undefined,
): ProxyContext {
  needed(caller, 'credential', tokenEndpoint)
  needed(caller, 'keys', tokens)
  if (settings.mode === 'direct') {
    throw new TypeError(`${caller}: entraAuth was told mode: 'direct', which has no proxy`)
  }
  const { baseUrl, lifetimes, now, options } = settings
  const secure = baseUrl.startsWith('https:')
  const cookies = { secure, maxAge: lifetimes.login, most: mostLogins, now }
  return Object.freeze<ProxyContext>({
    baseUrl,
    basePath: settings.basePath,
    resourceName: options.resourceName,
    serverName: options.resourceName ?? new URL(baseUrl).host,
    looks: settings.looks,
    clientId: options.clientId,
    callbackPath: settings.callbackPath,
    resources: settings.resources,
    customSchemes: settings.customSchemes,
    allowRedirect: options.allowRedirect ?? (() => true),
    scopes: options.scopes,
    lifetimes,
    stepUpByLogin: settings.stepUpByLogin,
    policy: settings.policy,
    consentPolicy: settings.consentPolicy,
    account: settings.account,
    ...tokens,
    features: settings.clients.features,
    consentCookies: cookieFamily({ name: 'mcp-entra-consent', ...cookies }),
    loginCookies: cookieFamily({ name: 'mcp-entra-login', ...cookies }),
    authority: settings.authority,
    verifier,
    tokenEndpoint,
    report: settings.report,
    mounts: settings.mounts,
    now,
  })
}
