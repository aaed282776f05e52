/**
 * An MCP client as they are: it registers, logs in through pages, calls tools, refreshes on a 401, waits and tries
 * again on a 503, and steps up on a 403. Every answer is judged by what this client knows.
 */
import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { form, json } from '../http-client.js'
import { signIn } from './sign-in.js'

const redirectUri = 'http://127.0.0.1:6274/callback'
/** How often a request that is answered 503 is sent again: some minutes. */
const mostTries = 100
/** Milliseconds by which the clocks of client and server may disagree about whether a token has expired. */
const skew = 1500
/** Milliseconds after which a revocation has reached every replica. */
const revocationTakes = 1100

/**
 * @param {{ username: string, oid: string }} user
 * @param {{ network, baseUrl: string, tally, isOver: () => boolean }} world
 */
export function makeClient(user, { network, baseUrl, tally, isOver }) {
  let clientId
  let tokens
  let refusedAt = 0

  /** Sends until the answer is no 503. @returns undefined when the soak is over or there was no answer */
  async function send(path, request) {
    for (let tries = 0; tries < mostTries && !isOver(); tries++) {
      const answer = await network.send(path, request).catch((error) => {
        tally.wrong(`${path}: no answer: ${error.message}`)
      })
      if (!answer) return undefined
      tally.count('requests')
      if (answer.status !== 503) return answer
      tally.count('answered 503')
      const seconds = Number(answer.headers['retry-after'])
      if (!(seconds > 0)) tally.wrong(`${path}: 503 without Retry-After`)
      await wait((seconds || 1) * 1000 * (1 + Math.random() / 2))
    }
    return undefined
  }

  async function register() {
    const answer = await send(
      '/register',
      json({ redirect_uris: [redirectUri], token_endpoint_auth_method: 'none' }),
    )
    if (answer?.status === 201) clientId = JSON.parse(answer.body).client_id
    else if (answer) tally.wrong(describe('/register', answer))
  }

  /** Logs in for these scopes; tries again when Entra did not answer. */
  async function login(scope) {
    while (!isOver()) {
      if (clientId === undefined) await register()
      if (clientId === undefined) continue
      const verifier = randomBytes(32).toString('base64url')
      const request = {
        response_type: 'code',
        client_id: clientId,
        redirect_uri: redirectUri,
        code_challenge: createHash('sha256').update(verifier).digest('base64url'),
        code_challenge_method: 'S256',
        state: randomBytes(16).toString('base64url'),
        scope,
        login_hint: user.username,
        resource: `${baseUrl}/mcp`,
      }
      const code = await signIn({ network, send, tally, redirectUri, request })
      if (code !== undefined && (await redeem(code, verifier))) return tally.count('logins')
      await wait(1000)
    }
  }

  async function redeem(code, verifier) {
    const fields = { grant_type: 'authorization_code', code, code_verifier: verifier }
    const askedAt = Date.now()
    const answer = await send(
      '/token',
      form({ ...fields, client_id: clientId, redirect_uri: redirectUri }),
    )
    if (answer?.status === 200) return keep(JSON.parse(answer.body), askedAt)
    if (answer) tally.wrong(describe('code', answer))
    return false
  }

  /** A token may be as old as the request for it: the answer may have been made for another one at the same time. */
  function keep({ access_token, refresh_token, expires_in, scope }, askedAt) {
    const expiresAt = askedAt + expires_in * 1000
    tokens = { access: access_token, refresh: refresh_token, scopes: scope.split(' '), expiresAt }
    return true
  }

  /** Some clients send a refresh twice at once, and then both answers have to be the same. */
  async function refresh() {
    const fields = { grant_type: 'refresh_token', refresh_token: tokens.refresh }
    const request = form({ ...fields, client_id: clientId })
    const times = Math.random() < 0.2 ? 2 : 1
    const askedAt = Date.now()
    const answers = await Promise.all(Array.from({ length: times }, () => send('/token', request)))
    const [answer, second] = answers
    if (!answer) return
    if (second && answer.status === 200 && second.body !== answer.body) {
      tally.wrong(`two answers to one refresh: ${second.status} ${second.body.slice(0, 80)}`)
    }
    if (answer.status === 200) {
      tally.count('refreshes')
      return keep(JSON.parse(answer.body), askedAt)
    }
    const { error } = JSON.parse(answer.body)
    if (error === 'interaction_required' && Date.now() - refusedAt < 60_000) {
      return tally.count('refreshes that ask to step up')
    }
    tally.lost(describe('refresh', answer))
    await login('notes.read')
  }

  /** Asks for the scopes of the challenge: at once, or after a refresh that is refused. */
  async function stepUp({ headers }) {
    refusedAt = Date.now()
    const scope = /scope="([^"]*)"/.exec(headers['www-authenticate'])?.[1]
    if (!scope) return tally.wrong(`a 403 without scope: ${headers['www-authenticate']}`)
    if (Math.random() < 0.5) await refresh()
    await login(scope)
    tally.count('step-ups')
  }

  /** Calls a tool once, and does what its answer asks for. */
  async function call(tool) {
    // Every other client refreshes ahead of time; the others wait for the 401.
    if (user.number % 2 === 0 && tokens.expiresAt - Date.now() < 3000) await refresh()
    const { access, expiresAt } = tokens
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool } }
    const sentAt = Date.now()
    const answer = await send('/mcp', json(body, { authorization: `Bearer ${access}` }))
    if (!answer) return
    if (answer.status === 200) return judge(tool, answer)
    if (answer.status === 401 && Date.now() >= expiresAt - skew) return refresh()
    const mayStepUp = tool === 'add_note' && !tokens.scopes.includes('notes.write')
    if (answer.status === 403 && mayStepUp) return stepUp(answer)
    tally.wrong(`${describe(tool, answer)}, ${(expiresAt - sentAt) / 1000} s before it expires`)
    if (answer.status === 401) await refresh()
  }

  /** Another user's answer would be the worst of all. */
  function judge(tool, { body }) {
    const { oid, graph, scopes } = JSON.parse(body).result.structuredContent
    const isOwn = oid === user.oid && (tool !== 'my_profile' || graph === user.oid)
    const isAllowed = tool !== 'add_note' || scopes.includes('notes.write')
    if (!isOwn) tally.wrong(`${tool}: the answer is another user's`)
    else if (!isAllowed) tally.wrong(`${tool}: let in without its scope`)
    else tally.count(tool === 'my_profile' ? 'tool calls on behalf of the user' : 'tool calls')
  }

  /** Logs out, and sees that the access token is refused soon after. */
  async function logOut() {
    const answer = await send('/revoke', form({ token: tokens.refresh, client_id: clientId }))
    if (!answer) return
    if (answer.status !== 200) return tally.wrong(describe('/revoke', answer))
    tally.count('revocations')
    await wait(revocationTakes)
    const headers = { authorization: `Bearer ${tokens.access}` }
    const body = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami' } }
    const after = await send('/mcp', json(body, headers))
    if (after && after.status !== 401) tally.wrong(describe('a revoked token', after))
  }

  return { login, call, logOut }
}

function describe(what, { status, headers, body }) {
  const detail = headers['www-authenticate'] ?? body.slice(0, 200)
  return `${what}: ${status} ${headers.location ?? detail}`
}
