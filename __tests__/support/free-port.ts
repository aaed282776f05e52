/** A port that nobody listens on, for a program that has to be told its port. */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below the ports that systems hand out by themselves (RFC 6335 and Linux), or a test that listens on port 0 could be
 * given this one before the program is up.
 */
export async function freePort(): Promise<number> {
  const port = randomInt(20_000, 32_768)
  const server = createServer()
  try {
    await once(server.listen(port), 'listening')
  } catch {
    return freePort()
  }
  server.close()
  await once(server, 'close')
  return port
}
