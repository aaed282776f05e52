/** A host that can go away and come back on the same port, in front of the same Entra. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Storage } from 'mcp-entra'
import { createHost } from '../../examples/reference-host/host.js'
import { closeServer, type Entra, type Listening, settingsFor } from './host.js'

const logger = { info() {}, warn() {}, error() {} }

/** @param port 0 for any */
export async function startHost(entra: Entra, storage: Storage, port = 0): Promise<Listening> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}`
  entra.addRedirectUri(`${url}/auth/callback`)
  const app = createHost(settingsFor(entra, url), { storage, logger })
  server.on('request', (req, res) => {
    // A connection kept alive would be to the host before this one.
    res.shouldKeepAlive = false
    app(req, res)
  })
  return { url, close: () => closeServer(server) }
}
