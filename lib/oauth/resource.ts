/** Protected resources: the MCP endpoints, how they are named, and the metadata of each. */
import { proofAlgorithms } from './dpop.js'
import { OAuthError } from './errors.js'

/** One protected MCP endpoint. */
export interface Resource {
  /** As configured: `/mcp`. */
  readonly path: string
  /** The audience of its tokens. @see RFC 8707 */
  readonly url: string
  /** Where its metadata document is. @see RFC 9728 section 3.1 */
  readonly metadataUrl: string
}

/** All resources of one server. The first is the default. */
export type Resources = readonly [Resource, ...Resource[]]

/**
 * The resource that a request names, or the first one if it names none.
 *
 * @throws OAuthError `invalid_target`
 * @see RFC 8707 section 2, RFC 3986 section 6.2.2.1 (scheme and host in any case). A trailing slash and a query are
 *   ignored: our resources have neither, and clients send the server's address as the user typed it
 */
export function findResource(
  { resources }: { readonly resources: Resources },
  named: string | undefined,
): Resource {
  if (named === undefined) return resources[0]
  const wanted = normalize(named)
  const found = resources.find(({ url }) => wanted !== undefined && normalize(url) === wanted)
  if (!found) throw new OAuthError('invalid_target', "The 'resource' is not one of this server.")
  return found
}

/** What the metadata of a protected resource is made of. */
export interface ProtectedResource {
  readonly resource: Pick<Resource, 'url'>
  readonly resourceName: string | undefined
  readonly authorizationServers: readonly string[]
  /** The scopes that every client needs, and those offered besides. Others are asked for by step-up. */
  readonly scopes: readonly string[]
  /** How it takes tokens that are bound to a key, if it does. */
  readonly dpop?: { readonly required: boolean } | undefined
}

/** @see RFC 9728 section 2, RFC 9449 section 5.1 */
export function protectedResourceMetadata(protectedResource: ProtectedResource) {
  const { resource, resourceName, authorizationServers, scopes, dpop } = protectedResource
  return {
    resource: resource.url,
    authorization_servers: authorizationServers,
    scopes_supported: scopes,
    bearer_methods_supported: ['header'],
    ...(dpop && { dpop_signing_alg_values_supported: proofAlgorithms }),
    ...(dpop?.required && { dpop_bound_access_tokens_required: true }),
    ...(resourceName !== undefined && { resource_name: resourceName }),
  }
}

/** The path of a well-known document, inserted before the path of what it describes. @see RFC 8414 section 3.1 */
export function wellKnownPath(name: string, path: string): string {
  return `/.well-known/${name}${path === '/' ? '' : path}`
}

function normalize(uri: string): string | undefined {
  if (uri.includes('#') || !URL.canParse(uri)) return undefined
  const url = new URL(uri)
  url.search = ''
  return url.href.endsWith('/') ? url.href.slice(0, -1) : url.href
}
