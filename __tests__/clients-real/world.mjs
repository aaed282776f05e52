/** An emulated Entra and the reference host on one port, which writes down what is asked of it, and can lose its keys. */
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import { createHost } from '../../build/examples/reference-host/host.js'
import { startEntra } from '../../dist/testing/index.js'

/** Seconds that access tokens last. Some clients refresh a minute before, and would do nothing else with less. */
export const tokenLifetime = 120

/**
 * Starts both. `seen` grows with each request that was answered.
 *
 * @param offered the host's optional scopes that every client is told of at its first login
 */
export async function startWorld({ offered = [] } = {}) {
  const entra = await startEntra({ accessTokenLifetime: tokenLifetime })
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://localhost:${server.address().port}`
  entra.addRedirectUri(`${url}/auth/callback`)
  const seen = []
  let host = newHost()
  server.on('request', (req, res) => {
    record(req, res, seen)
    host(req, res)
  })

  function newHost() {
    const settings = {
      port: Number(new URL(url).port),
      baseUrl: url,
      tenantId: entra.tenant.id,
      clientId: entra.app.clientId,
      clientSecret: entra.app.secrets[0],
      authorityHost: entra.url,
      keys: [randomBytes(32).toString('base64')],
      graphUrl: entra.graphUrl,
    }
    return createHost(settings, {
      offered,
      limits: false,
      logger: { info() {}, warn() {}, error() {} },
    })
  }

  return {
    url,
    seen,
    /** Ends a login: RFC 7009, with its refresh token. */
    async revoke(token, clientId) {
      const body = new URLSearchParams({ token, client_id: clientId })
      const { status } = await fetch(`${url}/revoke`, { method: 'POST', body })
      if (status !== 200) throw new Error(`revocation: ${status}`)
    },
    /** A host with new keys and an empty store: its clients' ids and tokens are no longer good. */
    loseKeys() {
      host = newHost()
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await entra.close()
    },
  }
}

/** Bodies are seen on their way: whoever reads them reads the same. */
function record(req, res, seen) {
  const sent = []
  const push = req.push
  req.push = function (chunk, ...rest) {
    if (chunk) sent.push(chunk)
    return push.call(this, chunk, ...rest)
  }
  const answered = []
  for (const name of ['write', 'end']) {
    const original = res[name]
    res[name] = function (chunk, ...rest) {
      if (typeof chunk === 'string' || chunk instanceof Uint8Array)
        answered.push(Buffer.from(chunk))
      return original.call(this, chunk, ...rest)
    }
  }
  const { pathname } = new URL(req.url, 'http://localhost')
  res.on('finish', () => {
    seen.push({
      method: req.method,
      path: pathname,
      status: res.statusCode,
      challenge: res.getHeader('www-authenticate'),
      authorization: req.headers.authorization,
      request: parsed(Buffer.concat(sent).toString(), req.headers['content-type']),
      response: parsed(Buffer.concat(answered).toString(), 'application/json'),
    })
  })
}

/** JSON or a form as an object; anything else as nothing. */
function parsed(text, type = '') {
  if (type.startsWith('application/x-www-form-urlencoded')) {
    return Object.fromEntries(new URLSearchParams(text))
  }
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
