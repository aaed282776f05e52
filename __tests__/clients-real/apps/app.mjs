/**
 * The smallest program around a client library: keeps what OAuth needs in memory, opens the browser, waits for the
 * answer on loopback, and tries once more, as the libraries' own documents tell applications to do.
 */
import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

export const serverUrl = new URL(process.env.MCP_URL)

let arrived
const callback = createServer((req, res) => {
  const { searchParams } = new URL(req.url, 'http://127.0.0.1')
  res.end('You may close this window.')
  arrived?.(searchParams)
})
await new Promise((resolve) => callback.listen(0, '127.0.0.1', resolve))
const redirectUrl = `http://127.0.0.1:${callback.address().port}/callback`

const kept = new Map()
let answer

/** An `OAuthClientProvider`, which all of these libraries take. */
export const provider = {
  redirectUrl,
  clientMetadata: {
    client_name: process.env.APP_NAME,
    redirect_uris: [redirectUrl],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
  },
  state: () => {
    kept.set('state', crypto.randomUUID())
    return kept.get('state')
  },
  storedState: () => kept.get('state'),
  saveState: (state) => void kept.set('state', state),
  // For the AI SDK: without it, an id that is no longer good stays for ever.
  isClientInformationDynamicallyRegistered: () => true,
  clientInformation: () => kept.get('client'),
  saveClientInformation: (information) => void kept.set('client', information),
  tokens: () => kept.get('tokens'),
  saveTokens: (tokens) => void kept.set('tokens', tokens),
  codeVerifier: () => kept.get('verifier'),
  saveCodeVerifier: (verifier) => void kept.set('verifier', verifier),
  discoveryState: () => kept.get('discovery'),
  saveDiscoveryState: (state) => void kept.set('discovery', state),
  invalidateCredentials(what) {
    for (const name of ['client', 'tokens', 'verifier', 'discovery']) {
      if (what === 'all' || what === name) kept.delete(name)
    }
  },
  redirectToAuthorization(url) {
    answer = new Promise((resolve) => {
      arrived = resolve
    })
    spawn(process.env.BROWSER, [url.href], { stdio: 'ignore' })
  },
}

/** Answers `{ id, tool, args }` on stdin: `call` calls the tool, `finish` redeems what came back from the browser. */
export async function serve({ call, finish }) {
  for await (const line of createInterface({ input: process.stdin })) {
    const { id, tool, args } = JSON.parse(line)
    const outcome = await attempt(tool, args)
    console.log(JSON.stringify({ id, ...outcome }))
  }
  process.exit(0)

  async function attempt(tool, args) {
    answer = undefined
    try {
      return { text: await call(tool, args) }
    } catch (error) {
      if (!answer) return { error: describe(error) }
    }
    try {
      await finish(await answer)
      return { text: await call(tool, args) }
    } catch (error) {
      return { error: describe(error) }
    }
  }
}

function describe(error) {
  return `${error?.name ?? 'Error'}: ${error?.message ?? error}`
}
