/** A login in steps: each takes what the steps before have left in `login`, and fails when the proxy refuses. */
import { createHash, randomBytes } from 'node:crypto'
import { approveForm, openBrowser } from './browser.js'

const redirectUri = 'http://127.0.0.1:33418/callback'
const form = 'application/x-www-form-urlencoded'

/** Reads where a proxy's endpoints are. */
export async function discover(line, baseUrl) {
  const answer = await openBrowser(line)(`${baseUrl}/.well-known/oauth-authorization-server`)
  if (answer.status !== 200) throw unexpected('discovery', answer)
  const metadata = JSON.parse(answer.body())
  return {
    baseUrl,
    register: metadata.registration_endpoint,
    authorize: metadata.authorization_endpoint,
    token: metadata.token_endpoint,
  }
}

/** A login of a new client and a new user. `proxy` has the endpoints, and the `scope` and `resource` to ask for. */
export function newLogin(proxy, line) {
  return { proxy, send: openBrowser(line) }
}

/** The steps, in order. */
export const steps = { register, authorize, consent, callback, token, refresh }

async function register(login) {
  const body = JSON.stringify({
    client_name: 'Bench',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  })
  const request = { method: 'POST', type: 'application/json', body }
  const answer = await login.send(login.proxy.register, request)
  if (answer.status !== 201) throw unexpected('register', answer)
  login.clientId = JSON.parse(answer.body()).client_id
}

/** Opens the authorization URL: ends at a page, at Entra's door, or at the client. */
async function authorize(login) {
  const { proxy, send, clientId } = login
  login.verifier = randomBytes(32).toString('base64url')
  login.state = randomBytes(16).toString('base64url')
  const params = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    scope: proxy.scope,
    state: login.state,
    code_challenge: createHash('sha256').update(login.verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...(proxy.resource && { resource: proxy.resource }),
  })
  login.at = await follow(login, await send(`${proxy.authorize}?${params}`))
}

/** Approves, where there is a page. */
async function consent(login) {
  if (login.at.location) return
  const { url, request } = approveForm(login.at)
  login.at = await follow(login, await login.send(url, request))
}

/** Signs in at Entra, where the proxy has an upstream, and goes back to the proxy. */
async function callback(login) {
  let answer = login.at
  while (!answer.location?.startsWith(redirectUri)) {
    if (!answer.location) throw unexpected('callback', answer)
    answer = await login.send(answer.location)
  }
  const { searchParams } = new URL(answer.location)
  login.code = searchParams.get('code')
  if (!login.code || searchParams.get('state') !== login.state) {
    throw new Error(`callback: sent to the client with ${answer.location}`)
  }
}

async function token(login) {
  const { proxy, clientId, code, verifier } = login
  await requestTokens(login, {
    grant_type: 'authorization_code',
    client_id: clientId,
    code,
    code_verifier: verifier,
    redirect_uri: redirectUri,
    ...(proxy.resource && { resource: proxy.resource }),
  })
}

async function refresh(login) {
  const { proxy, clientId, tokens } = login
  await requestTokens(login, {
    grant_type: 'refresh_token',
    client_id: clientId,
    refresh_token: tokens.refresh_token,
    ...(proxy.resource && { resource: proxy.resource }),
  })
}

async function requestTokens(login, params) {
  const request = { method: 'POST', type: form, body: `${new URLSearchParams(params)}` }
  const answer = await login.send(login.proxy.token, request)
  if (answer.status !== 200) throw unexpected(params.grant_type, answer)
  login.tokens = JSON.parse(answer.body())
  const { access_token, refresh_token } = login.tokens
  if (!access_token || !refresh_token) throw unexpected(params.grant_type, answer)
}

/** Follows redirects for as long as they stay at the proxy. */
async function follow({ proxy, send }, answer) {
  let at = answer
  while (at.location?.startsWith(proxy.baseUrl)) at = await send(at.location)
  if (!at.location && at.status !== 200) throw unexpected('authorize', at)
  return at
}

function unexpected(step, { status, url, body }) {
  return new Error(`${step}: ${status} at ${url}:\n${body().slice(0, 1000)}`)
}
