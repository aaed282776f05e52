/** What a client and its user's browser do, over raw connections: cookies, redirects, one form. */
import { connectTo } from '../connection.js'

/** Keep-alive connections, one to each server, for one login at a time. */
export function openLine() {
  const connections = new Map()
  return {
    async to(port) {
      if (!connections.has(port)) connections.set(port, await connectTo(port))
      return connections.get(port)
    },
    close() {
      for (const connection of connections.values()) connection.close()
    },
  }
}

/** A browser without any cookies. @returns a function that sends a request, over this line */
export function openBrowser(line) {
  const jars = new Map()
  return async function send(url, { method = 'GET', type, body = '' } = {}) {
    const { host, port, pathname, search } = new URL(url)
    const connection = await line.to(port)
    const cookie = cookieHeader(jars.get(host), pathname)
    const content = type
      ? `Content-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`
      : ''
    const answer = await connection.ask(
      `${method} ${pathname}${search} HTTP/1.1\r\nHost: ${host}\r\n${cookie}${content}\r\n${body}`,
    )
    keepCookies(jars, host, answer.head)
    return { ...answer, url, location: locationOf(answer.head, url) }
  }
}

function cookieHeader(jar, pathname) {
  const fitting = [...(jar ?? [])].filter(([, { path }]) => pathname.startsWith(path))
  if (fitting.length === 0) return ''
  return `Cookie: ${fitting.map(([name, { value }]) => `${name}=${value}`).join('; ')}\r\n`
}

function keepCookies(jars, host, head) {
  for (const [, line] of head.matchAll(/\r\nset-cookie: *([^\r]*)/gi)) {
    const [, name, value] = /^([^=]*)=([^;]*)/.exec(line)
    if (!jars.has(host)) jars.set(host, new Map())
    if (value === '' || /;\s*max-age=0/i.test(line)) jars.get(host).delete(name)
    else jars.get(host).set(name, { value, path: /;\s*path=([^;]*)/i.exec(line)?.[1] ?? '/' })
  }
}

function locationOf(head, url) {
  const location = /\r\nlocation: *([^\r]*)/i.exec(head)?.[1]
  return location === undefined ? undefined : new URL(location, url).href
}

/** The form of a page, as its Approve button sends it: where to, and the request. */
export function approveForm({ url, body }) {
  const html = body()
  const action = /<form[^>]*\saction="([^"]*)"/i.exec(html)
  if (!action) throw new Error(`a page without a form:\n${html.slice(0, 500)}`)
  const fields = new URLSearchParams({ action: 'approve' })
  for (const [input] of html.matchAll(/<input[^>]*type="hidden"[^>]*>/gi)) {
    fields.set(attribute(input, 'name'), attribute(input, 'value'))
  }
  return {
    url: new URL(unescapeHtml(action[1]), url).href,
    request: { method: 'POST', type: 'application/x-www-form-urlencoded', body: `${fields}` },
  }
}

function attribute(tag, name) {
  return unescapeHtml(new RegExp(`\\s${name}="([^"]*)"`).exec(tag)[1])
}

const entities = { quot: '"', '#39': "'", lt: '<', gt: '>', amp: '&' }

function unescapeHtml(text) {
  return text.replace(/&(quot|#39|lt|gt|amp);/g, (_entity, name) => entities[name])
}
