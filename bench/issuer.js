/** An issuer as Entra is one, on loopback: its keys over HTTP, and tokens of the usual size. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { accessTokenClaims, entraSettings, makeEntraKey } from './entra-tokens.js'

/**
 * Starts the issuer.
 *
 * @param {(form: URLSearchParams) => object} [grant] what its token endpoint answers, where it is to have one
 */
export async function startIssuer(grant) {
  const documents = new Map()
  const server = createServer(async (req, res) => {
    const keys = documents.get(req.url)
    const answer = keys ? { keys } : grant && req.method === 'POST' && grant(await readForm(req))
    if (!answer) return res.writeHead(404).end()
    res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${server.address().port}`
  const settings = entraSettings(url)
  const key = makeEntraKey(url)
  documents.set(new URL(settings.jwksUri).pathname, [key.jwk])
  return {
    settings,
    /** A good token of a user never seen before; `changes` overrides claims. */
    token: (changes) => key.sign(accessTokenClaims(settings, changes)),
    /** Serves the keys of another issuer, too. @returns where */
    publish(keys) {
      documents.set('/other/keys', keys)
      return `${url}/other/keys`
    },
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}

async function readForm(req) {
  return new URLSearchParams(Buffer.concat(await req.toArray()).toString())
}
