/** A process with a gate in plain `node:http` and no handler for rejections: see late-verdicts.test.ts. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  requireBearer,
  resourceMetadata,
  scopeGuard,
} from '../../dist/index.js'
import { startEntra } from '../../dist/testing/index.js'

const what = process.argv[2]
const entra = await startEntra()
const { clientId, secrets } = entra.app
const auth = entraAuth({
  baseUrl: 'http://localhost:3000',
  tenantId: entra.tenant.id,
  clientId,
  credential: clientSecret(secrets[0]),
  authorityHost: entra.url,
  scopes: entraScopes({ clientId, required: ['notes.read'] }),
})
// Never asked, but without it the gate warns that its clients are sent nowhere.
resourceMetadata(auth)
const gate = requireBearer(auth)
const guard = scopeGuard('notes.read')
let handled = 0

const server = createServer((req, res) => {
  gate(req, res, () => {
    guard(req, res, () => {
      if (!req.headers['x-second']) handled += 1
      if (what === 'throw') throw new Error('of the handler')
      res.end('handled')
    })
  })
  if (what !== 'timeout' || req.headers['x-second']) return
  res.statusCode = 503
  res.end('timeout')
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')

const token = await entra.mintAccessToken()
const ask = (headers = {}) =>
  fetch(`http://127.0.0.1:${server.address().port}/mcp`, {
    headers: { authorization: `Bearer ${token}`, ...headers },
  })

if (what === 'throw') {
  process.once('uncaughtException', (error) => {
    console.log(`uncaughtException: ${error.message}, handled: ${handled}`)
    process.exit(0)
  })
  await ask()
} else {
  const forged = { authorization: `Bearer ${token.slice(0, -8)}AAAAAAAA` }
  const answers = [await (await ask()).text(), await (await ask(forged)).text()]
  // The same tokens again: each is verified once for both, so by then the late verdict on it is there.
  for (const [headers, expected] of [
    [{}, 200],
    [forged, 401],
  ]) {
    const { status } = await ask({ ...headers, 'x-second': '1' })
    if (status !== expected) throw new Error(`answered with ${status}, and not ${expected}`)
  }
  console.log(`answered: ${answers.join()}, handled: ${handled}`)
  process.exit(0)
}
