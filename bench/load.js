/** The load generator: keep-alive connections over raw sockets, each with one request in flight. */
import { once } from 'node:events'
import { connect } from 'node:net'

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
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  const latencies = []
  const start = performance.now()
  const end = start + seconds * 1000
  try {
    await Promise.all(sockets.map((socket) => keepAsking({ socket, next, status, end, latencies })))
    return { count: latencies.length, seconds: (performance.now() - start) / 1000, latencies }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}

async function open(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket
}

function keepAsking({ socket, next, status, end, latencies }) {
  return new Promise((resolve, reject) => {
    let sentAt = 0
    let received
    const ask = () => {
      received = undefined
      sentAt = performance.now()
      socket.write(next())
    }
    socket.on('data', (chunk) => {
      received = received ? Buffer.concat([received, chunk]) : chunk
      const missing = bytesMissing(received)
      if (missing === undefined) return reject(new Error('an answer has no Content-Length'))
      if (missing > 0) return
      const now = performance.now()
      latencies.push(now - sentAt)
      const answered = Number(received.latin1Slice(9, 12))
      if (answered !== status) return reject(unexpected(answered, status, received))
      if (now >= end) resolve()
      else ask()
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed the connection')))
    ask()
  })
}

/** How much of an answer is still to come, at least; undefined when it does not say. */
function bytesMissing(bytes) {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return 1
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.latin1Slice(0, headEnd))
  return length ? headEnd + 4 + Number(length[1]) - bytes.length : undefined
}

function unexpected(answered, status, bytes) {
  return new Error(`answered ${answered} instead of ${status}:\n${bytes.toString()}`)
}
