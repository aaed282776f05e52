/** Gates at which no MCP client can get a token, as the first client that is sent away shows. */

import type { MiddlewareRequest } from '../http/middleware.js'
import type { Mounts } from '../http/mounts.js'
import type { Report, ReportedEvent } from '../http/report.js'
import { pathOf, routeOf } from '../http/request-path.js'
import type { Resource, Resources } from '../oauth/resource.js'

/** What the advice is made of. */
export interface GateAdviceOptions {
  readonly report: Report
  readonly mounts: Mounts
  readonly mode: 'proxy' | 'direct'
  readonly resources: Resources
}

/**
 * Makes a function that looks at requests which the gate refuses, and warns once when its clients cannot find out where
 * to get a token. Requests that pass are not looked at.
 */
export function gateAdvice(
  options: GateAdviceOptions,
  resource: Resource,
): (req: MiddlewareRequest) => void {
  const { report, mounts, mode } = options
  let isPlaced = false
  return function advise(req) {
    if (!mounts.servesDiscovery && mounts.isFirst('no_discovery')) {
      report('warning', noDiscovery(mode, resource))
    }
    if (isPlaced || !isMcpRequest(req)) return
    isPlaced = true
    const warning = placeWarning(req, resource, options.resources)
    if (warning) report('warning', warning)
  }
}

function noDiscovery(mode: 'proxy' | 'direct', { metadataUrl }: Resource) {
  const line =
    mode === 'proxy'
      ? 'app.use(oauthRoutes(auth)), at the root of the application'
      : 'app.use(resourceMetadata(auth)), or oauthRoutes(auth) when clients are to log in through this server (it needs keys and credential)'
  return {
    reason: 'no_discovery',
    detail: `requireBearer sends clients to ${metadataUrl}, and nothing in this process answers there`,
    hint: `Mount ${line}. If another process answers there, all is well.`,
  } as const
}

/** Any other request to a gate may be for an API: only MCP clients compare its path with the metadata. */
function isMcpRequest({ headers }: MiddlewareRequest): boolean {
  if (headers['mcp-protocol-version'] !== undefined) return true
  const { accept = '' } = headers
  return accept.includes('text/event-stream') && accept.includes('application/json')
}

function placeWarning(
  req: MiddlewareRequest,
  resource: Resource,
  resources: Resources,
): ReportedEvent<'warning'> | undefined {
  const path = pathOf(req)
  if (isWithin(path, resource)) return undefined
  const detail = `requireBearer guards ${routeOf(req)}, and sends clients to get tokens for ${resource.url}: an MCP client compares the two, and gives up`
  const other = resources.find((one) => isWithin(path, one))
  if (other) {
    const hint = `Write requireBearer(auth, { resource: '${other.path}' }).`
    return { reason: 'other_resource', detail, hint }
  }
  return { reason: 'not_a_resource', detail, hint: addResource(routeOf(req), resource, resources) }
}

/** A proxy in front may have taken the path of `baseUrl` away, which a gate does not mind. */
function isWithin(path: string, { path: own, url }: Resource): boolean {
  return [own, new URL(url).pathname].some((place) => {
    const folded = place.replace(/\/$/, '').toLowerCase()
    return `${path.toLowerCase()}/`.startsWith(`${folded}/`)
  })
}

function addResource(route: string, { path, url }: Resource, resources: Resources): string {
  const { pathname } = new URL(url)
  const basePath = path === '/' ? pathname : pathname.slice(0, -path.length)
  const below = route.startsWith(`${basePath}/`) ? route.slice(basePath.length) : route
  if (resources.length === 1 && path === '/mcp') {
    return `Write entraAuth({ …, resources: ['${below}'] }).`
  }
  const all = [...resources.map((one) => one.path), below].map((one) => `'${one}'`).join(', ')
  return `Write entraAuth({ …, resources: [${all}] }), and requireBearer(auth, { resource: '${below}' }).`
}
