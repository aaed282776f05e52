/** Redirect URIs as Entra compares them: exactly, except for the port on loopback. */
import type { EntraApp } from './directory.js'
import { refuse } from './errors.js'

/** The platform a redirect URI is registered under. */
export type Platform = 'web' | 'spa'

/** Finds the platform of a redirect URI; AADSTS50011 when it is not registered, 500113 when none is. */
export function findPlatform(app: EntraApp, uri: string): Platform {
  if (app.redirectUris.length + app.spaRedirectUris.length === 0) {
    refuse(500113, 'No reply address is registered for the application.')
  }
  if (app.redirectUris.some((registered) => matches(registered, uri))) return 'web'
  if (app.spaRedirectUris.some((registered) => matches(registered, uri))) return 'spa'
  return refuse(
    50011,
    `The redirect URI '${uri}' specified in the request does not match the redirect URIs configured ` +
      `for the application '${app.clientId}'. Make sure the redirect URI sent in the request matches ` +
      'one added to your application in the Azure portal.',
  )
}

/** RFC 8252 section 7.3: a loopback redirect URI may have any port. */
function matches(registered: string, uri: string): boolean {
  return registered === uri || withoutPort(registered) === withoutPort(uri)
}

function withoutPort(uri: string): string {
  return uri.replace(/^(http:\/\/(?:localhost|127\.0\.0\.1)):\d+(?=\/|$)/, '$1')
}
