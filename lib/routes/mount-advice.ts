/** `oauthRoutes` in the wrong place, as the requests that reach it show. */

import type { ServerResponse } from 'node:http'
import { allowAnyOrigin } from '../http/cors.js'
import type { MiddlewareRequest } from '../http/middleware.js'
import { replaceNotFoundPage } from '../http/replace-page.js'
import { mountPath } from '../http/request-path.js'
import { noStore, sendJson } from '../http/respond.js'
import { wellKnownPath } from '../oauth/resource.js'
import type { ProxyContext } from './context.js'

type AdviceContext = Pick<
  ProxyContext,
  'report' | 'basePath' | 'baseUrl' | 'callbackPath' | 'resources'
>

/** Looks at requests on their way. */
export interface MountAdvice {
  /** Every request, of which it looks at the first. */
  see(req: MiddlewareRequest): void
  /** A request whose path is none of ours. */
  miss(path: string, res: ServerResponse): void
}

/** Warns once of a prefix that is too much or too little, and says where discovery documents are. */
export function mountAdvice(context: AdviceContext): MountAdvice {
  const { report, basePath } = context
  const withoutPrefix = basePath === '' ? undefined : pathsWithoutPrefix(context)
  const directions = misplacedDocuments(context)
  let isSeen = false
  let isStripped = false
  return {
    see(req) {
      if (isSeen) return
      isSeen = true
      const prefix = mountPath(req)
      if (prefix !== '') report('warning', underPrefix(prefix))
    },
    miss(path, res) {
      if (withoutPrefix?.has(path) && !isStripped) {
        isStripped = true
        report('warning', stripped(path, basePath))
      }
      if (path.startsWith('/.well-known/o')) direct(directions, path, res)
    },
  }
}

function underPrefix(prefix: string) {
  return {
    reason: 'mounted_under_prefix',
    detail: `oauthRoutes is mounted under ${prefix.slice(0, 100)}, and sees no request for /.well-known/…, where clients begin`,
    hint: 'Write app.use(oauthRoutes(auth)), without a path, at the root of the application: whatever path baseUrl has, it adds itself.',
  } as const
}

function pathsWithoutPrefix({ callbackPath }: AdviceContext): ReadonlySet<string> {
  return new Set(['/register', '/authorize', '/consent', '/token', '/revoke', callbackPath])
}

function stripped(path: string, basePath: string) {
  return {
    reason: 'prefix_stripped',
    detail: `a request came for ${path}, and its place is ${basePath}${path}: it seems that a proxy in front takes ${basePath} away`,
    hint: `Have the proxy pass paths on as they are: in nginx, location ${basePath}/ { proxy_pass http://app; } with no slash after the host. It has to pass /.well-known/ on as well. If ${path} is a page of your own, all is well.`,
  } as const
}

/** What clients look for, and where it is. */
type Directions = readonly (readonly [document: string, description: string])[]

function misplacedDocuments({ baseUrl, basePath, resources }: AdviceContext): Directions {
  const { origin } = new URL(baseUrl)
  const server = origin + wellKnownPath('oauth-authorization-server', basePath)
  const described = resources.map(({ metadataUrl }) => metadataUrl).join(' ')
  return [
    [
      '/.well-known/oauth-protected-resource',
      `No protected resource is described here. Those of this server are described at: ${described}`,
    ],
    [
      '/.well-known/oauth-authorization-server',
      `No authorization server is described here. That of this server is described at: ${server}`,
    ],
    [
      '/.well-known/openid-configuration',
      `This is an OAuth 2.0 authorization server and no OpenID provider. It is described at: ${server}`,
    ],
  ]
}

/** The path may be the application's own, so it goes first: only the page that says "not found" is replaced. */
function direct(directions: Directions, path: string, res: ServerResponse): void {
  const found = directions.find(
    ([document]) => path === document || path.startsWith(`${document}/`),
  )
  if (!found) return
  replaceNotFoundPage(res, () => {
    allowAnyOrigin(res)
    noStore(res)
    sendJson(res, 404, { error: 'not_found', error_description: found[1] })
  })
}
