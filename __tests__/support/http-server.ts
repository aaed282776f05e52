import {
  createServer,
  type IncomingMessage,
  request as nodeRequest,
  type RequestListener,
  type RequestOptions,
} from 'node:http'
import type { AddressInfo } from 'node:net'

/** Runs a real server on loopback while `use` runs. */
export async function serve<T>(
  listener: RequestListener,
  use: (url: string) => Promise<T>,
): Promise<T> {
  const server = createServer(listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  } finally {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
}

/** An answer as it came over the wire. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly text: string
}

/** Sends a request, each chunk of its body in a write of its own. */
export function send(
  url: string,
  options: RequestOptions,
  chunks: readonly (string | Buffer)[] = [],
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const req = nodeRequest(url, options, (res) => {
      const received: Buffer[] = []
      res.on('data', (chunk: Buffer) => received.push(chunk))
      res.on('end', () =>
        resolve({
          status: res.statusCode ?? 0,
          headers: res.headers,
          text: Buffer.concat(received).toString(),
        }),
      )
    })
    req.on('error', reject)
    for (const chunk of chunks) req.write(chunk)
    req.end()
  })
}
