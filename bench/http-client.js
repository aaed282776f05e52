/** A small HTTP client: keep-alive, no redirects, every status is an answer. */
import { Agent, request } from 'node:http'

/** Milliseconds for one request. */
const patience = 30_000

/** A client with connections of its own. */
export function httpClient() {
  const agent = new Agent({ keepAlive: true })
  return {
    /** @returns {Promise<{ status: number, headers: object, body: string }>} */
    send(address, { method = 'GET', headers = {}, body } = {}) {
      return new Promise((resolve, reject) => {
        const sent = request(address, { agent, method, headers, timeout: patience }, (answer) => {
          const chunks = []
          answer.on('data', (chunk) => chunks.push(chunk))
          answer.on('error', reject)
          answer.on('end', () => {
            const { statusCode: status, headers } = answer
            resolve({ status, headers, body: Buffer.concat(chunks).toString() })
          })
        })
        sent.on('timeout', () => sent.destroy(new Error(`no answer within ${patience} ms`)))
        sent.on('error', reject)
        sent.end(body)
      })
    },
    close: () => agent.destroy(),
  }
}

/** A request with a form. */
export function form(fields, headers = {}) {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    body: new URLSearchParams(fields).toString(),
  }
}

/** A request with JSON. */
export function json(value, headers = {}) {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(value),
  }
}
