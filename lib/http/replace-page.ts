/** A better answer than the 404 page of a framework, for requests that no handler of the application takes. */
import type { ServerResponse } from 'node:http'

/** Headers that belong to the page. */
const ofThePage = [
  'Content-Encoding',
  'Content-Language',
  'Content-Length',
  'Content-Security-Policy',
  'Content-Type',
  'ETag',
]

/**
 * Sends `answer` in the place of a 404 page. The application goes first: what it answers, and be it a 404 of its own
 * that is no page, stays.
 */
export function replaceNotFoundPage(res: ServerResponse, answer: () => void): void {
  const { end } = res
  res.end = ((...args: Parameters<typeof end>) => {
    res.end = end
    if (!isNotFoundPage(res)) return end.apply(res, args)
    for (const name of ofThePage) res.removeHeader(name)
    const done: unknown = args.find((arg: unknown) => typeof arg === 'function')
    if (typeof done === 'function') res.once('finish', done as () => void)
    answer()
    return res
  }) as typeof end
}

function isNotFoundPage(res: ServerResponse): boolean {
  if (res.headersSent || res.statusCode !== 404) return false
  const type = res.getHeader('Content-Type')
  return type === undefined || /^text\//i.test(String(type))
}
