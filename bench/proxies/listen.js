/** Listens on loopback with a request handler. */
import { once } from 'node:events'
import { createServer } from 'node:http'

/** @returns once connections are accepted */
export async function listen(handler, port) {
  const server = createServer(handler)
  // Connections outlive the pauses between two measurements.
  server.keepAliveTimeout = 60_000
  await once(server.listen(port, '127.0.0.1'), 'listening')
}
