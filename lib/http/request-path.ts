/** Where a request goes: paths as the client sees them, and as the operator wrote them. */
import { originForm } from '../oauth/request-target.js'
import type { MiddlewareRequest } from './middleware.js'

/** What Express adds to a request. */
type RoutedRequest = MiddlewareRequest & {
  readonly baseUrl?: unknown
  readonly route?: { readonly path?: unknown } | undefined
}

/** Longest part of a path that is shown. A longer one may be a secret. */
const longestPart = 32

/** The whole path, whatever the middleware is mounted under. */
export function pathOf(req: MiddlewareRequest): string {
  return targetOf(req).split('?', 1)[0] ?? '/'
}

/** The whole path with its query. */
export function targetOf({ originalUrl, url = '/' }: MiddlewareRequest): string {
  return originForm(originalUrl ?? url)
}

/** The path under which an application has mounted the middleware: empty at its root. */
export function mountPath(req: RoutedRequest): string {
  if (typeof req.baseUrl === 'string' && req.baseUrl !== '') return req.baseUrl
  const { originalUrl = '', url = '' } = req
  return originalUrl.endsWith(url) ? originalUrl.slice(0, originalUrl.length - url.length) : ''
}

/** The route as the operator wrote it, where that is known; else the path, without parts that may be secrets. */
export function routeOf(req: RoutedRequest): string {
  const { baseUrl = '', route } = req
  if (typeof route?.path === 'string' && typeof baseUrl === 'string') {
    return (baseUrl + route.path).slice(0, 200)
  }
  const parts = pathOf(req).split('/')
  return parts
    .map((part) => (part.length > longestPart ? '…' : part))
    .join('/')
    .slice(0, 200)
}
