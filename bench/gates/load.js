/** The load generator: keep-alive connections, each with one request in flight. */
import { connectTo } from '../connection.js'

/**
 * Sends requests in turn, over and over, for some seconds.
 *
 * @param {object} job
 * @param {number} job.port
 * @param {() => Buffer} job.next the next request
 * @param {number} job.connections
 * @param {number} job.seconds
 * @param {number} job.status of every answer
 * @param {number} [job.atLeast] requests, however long they take
 * @returns {Promise<{ count: number, seconds: number, latencies: number[] }>} latencies in milliseconds
 * @throws Error when an answer has another status
 */
export async function load({ port, next, connections, seconds, status, atLeast = 0 }) {
  const open = await Promise.all(Array.from({ length: connections }, () => connectTo(port)))
  const latencies = []
  const start = performance.now()
  const end = start + seconds * 1000
  const goesOn = (now) => now < end || latencies.length < atLeast
  try {
    await Promise.all(open.map((connection) => keepAsking(connection)))
    return { count: latencies.length, seconds: (performance.now() - start) / 1000, latencies }
  } finally {
    for (const connection of open) connection.close()
  }

  async function keepAsking(connection) {
    for (let now = start; goesOn(now); ) {
      const sentAt = performance.now()
      const answer = await connection.ask(next())
      now = performance.now()
      latencies.push(now - sentAt)
      if (answer.status !== status) throw unexpected(answer, status)
    }
  }
}

function unexpected({ status, head, body }, expected) {
  return new Error(`answered ${status} instead of ${expected}:\n${head}\n${body()}`)
}
