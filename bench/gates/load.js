/** The load generator: keep-alive connections, each with one request in flight. */
import { connectTo } from '../connection.js'

/** A GET as bytes. */
export function rawRequest(token) {
  const authorization = token === undefined ? '' : `Authorization: Bearer ${token}\r\n`
  return Buffer.from(`GET /r HTTP/1.1\r\nHost: localhost\r\n${authorization}\r\n`)
}

/**
 * Sends the requests in turn, over and over, for some seconds.
 *
 * @param {{ port: number, next: () => Buffer, connections: number, seconds: number, status: number }} job
 * @returns {Promise<{ count: number, seconds: number, latencies: number[] }>} latencies in milliseconds
 * @throws Error when an answer has another status than the expected one
 */
export async function load({ port, next, connections, seconds, status }) {
  const open = await Promise.all(Array.from({ length: connections }, () => connectTo(port)))
  const latencies = []
  const start = performance.now()
  const end = start + seconds * 1000
  try {
    await Promise.all(
      open.map((connection) => keepAsking({ connection, next, status, end, latencies })),
    )
    return { count: latencies.length, seconds: (performance.now() - start) / 1000, latencies }
  } finally {
    for (const connection of open) connection.close()
  }
}

async function keepAsking({ connection, next, status, end, latencies }) {
  for (let now = 0; now < end; ) {
    const sentAt = performance.now()
    const answer = await connection.ask(next())
    now = performance.now()
    latencies.push(now - sentAt)
    if (answer.status !== status) throw unexpected(answer, status)
  }
}

function unexpected(answer, status) {
  return new Error(
    `answered ${answer.status} instead of ${status}:\n${answer.head}\n${answer.body()}`,
  )
}
