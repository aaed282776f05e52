/** A client that registers, logs users in and refreshes, over HTTP. */
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { cookieJar, hiddenFields } from '../consent-page.js'
import { form, json } from '../http-client.js'

const redirectUri = 'http://127.0.0.1:6274/callback'

/** @returns the client id */
export async function register(send) {
  const metadata = { redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' }
  const { body } = await expect(201, send('/register', json(metadata)))
  return JSON.parse(body).client_id
}

/** Logs in a user never seen before, as far as the code. @returns the form that redeems it */
export async function logIn(send, clientId) {
  const verifier = randomBytes(32).toString('base64url')
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    state: randomBytes(16).toString('base64url'),
  })
  const cookies = cookieJar()
  const page = await expect(200, send(`/authorize?${query}`))
  cookies.keep(page)
  const fields = { ...hiddenFields(page.body), action: 'approve' }
  const approved = await expect(303, send('/consent', form(fields, cookies.header())))
  cookies.keep(approved)
  const callback = `/auth/callback?${entrasAnswer(approved.headers.location)}`
  const { headers } = await expect(302, send(callback, { headers: cookies.header() }))
  const code = new URL(headers.location).searchParams.get('code')
  if (!code) throw new Error(`no code: ${headers.location}`)
  return {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    client_id: clientId,
    redirect_uri: redirectUri,
  }
}

/** Redeems the code of a login. */
export function redeem(send, code) {
  return expect(200, send('/token', form(code)))
}

/** What the browser brings back from Entra. The code tells Entra's token endpoint whom it is for. */
function entrasAnswer(location) {
  const { searchParams } = new URL(location)
  const who = { oid: randomUUID(), nonce: searchParams.get('nonce') }
  const code = Buffer.from(JSON.stringify(who)).toString('base64url')
  return new URLSearchParams({ state: searchParams.get('state'), code })
}

/** @returns the next refresh token */
export async function refresh(send, clientId, token) {
  const fields = { grant_type: 'refresh_token', refresh_token: token, client_id: clientId }
  const { body } = await expect(200, send('/token', form(fields)))
  return JSON.parse(body).refresh_token
}

/** @throws Error when the answer has another status */
export async function expect(status, sent) {
  const answer = await sent
  if (answer.status === status) return answer
  throw new Error(`${answer.status} instead of ${status}: ${answer.body.slice(0, 300)}`)
}
