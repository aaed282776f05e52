/** One keep-alive connection over a raw socket, with one request in flight: it costs the load generator little. */
import { once } from 'node:events'
import { connect } from 'node:net'

/**
 * Connects to a port on loopback.
 *
 * @returns {Promise<{ ask(request: Buffer | string): Promise<{ status: number, head: string, body(): string }>, close(): void }>}
 */
export async function connectTo(port) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  let waiting
  let received
  const fail = (error) => {
    waiting?.reject(error)
    waiting = undefined
  }
  socket.on('data', (chunk) => {
    received = received ? Buffer.concat([received, chunk]) : chunk
    const answer = readAnswer(received)
    if (!answer) return
    received = undefined
    const { resolve } = waiting
    waiting = undefined
    resolve(answer)
  })
  socket.on('error', fail)
  socket.on('close', () => fail(new Error('the server closed the connection')))
  return {
    ask(request) {
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject }
        if (socket.destroyed) return fail(new Error('the connection is closed'))
        socket.write(request)
      })
    },
    close: () => socket.destroy(),
  }
}

/** An answer, once all of it is there. */
function readAnswer(bytes) {
  const headEnd = bytes.indexOf('\r\n\r\n')
  if (headEnd < 0) return undefined
  const head = bytes.latin1Slice(0, headEnd)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)
  const start = headEnd + 4
  const chunked = !length && /\r\ntransfer-encoding: *chunked/i.test(head)
  const complete = chunked
    ? bytes.subarray(-5).toString('latin1') === '0\r\n\r\n'
    : bytes.length >= start + Number(length?.[1] ?? 0)
  if (!complete) return undefined
  return {
    status: Number(head.slice(9, 12)),
    head,
    body: () => (chunked ? joinChunks(bytes, start) : bytes.utf8Slice(start)),
  }
}

function joinChunks(bytes, start) {
  const parts = []
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const length = Number.parseInt(bytes.latin1Slice(at, lineEnd), 16)
    if (!(length > 0)) return Buffer.concat(parts).toString()
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + length))
    at = lineEnd + 2 + length + 2
  }
}
