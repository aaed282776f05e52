/** HTTP as the users of the soak speak it: each request goes to either replica, as behind a load balancer. */
import { httpClient } from '../http-client.js'

/**
 * @param {string} baseUrl the replicas' common address
 * @param {number[]} ports where they really are
 */
export function network(baseUrl, ports) {
  const { send, close } = httpClient()
  const replica = () => `http://127.0.0.1:${ports[Math.floor(Math.random() * ports.length)]}`
  return {
    /** @returns {Promise<{ status: number, headers: object, body: string }>} redirects are answers too */
    send(address, request) {
      const { origin, href } = new URL(address, baseUrl)
      const to = origin === baseUrl ? replica() + href.slice(origin.length) : href
      return send(to, request)
    },
    close,
  }
}
