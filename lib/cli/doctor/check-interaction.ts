/** The page that users are sent to in the middle of a tool call: a proxy in front that knows its paths may not know this one. */
import { interactionPath } from '../../tokens/interactions.js'
import { type Finding, ok, warning } from './finding.js'
import { look } from './look.js'

/** Opens a link that nobody was given: the server answers with its page about that. @param tokenEndpoint of the server itself */
export async function checkInteraction(tokenEndpoint: string): Promise<readonly Finding[]> {
  if (!tokenEndpoint.endsWith('/token')) return []
  const url = tokenEndpoint.slice(0, -'/token'.length) + interactionPath
  const sight = await look(`${url}?id=doctor`)
  if (sight.trouble === undefined && sight.status === 403 && sight.isHtml) {
    return [ok('interaction', url)]
  }
  const says =
    sight.trouble ?? `${url} answers HTTP ${sight.status}, where a page of this server is expected`
  return [
    warning(
      'interaction',
      says,
      'route it to this server: tools send users there for consent and MFA, and without it clients that can show a URL get stuck',
    ),
  ]
}
