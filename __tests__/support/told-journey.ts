/** A journey through everything that an event tells of, with every secret that came up on the way. */
import { setTimeout as wait } from 'node:timers/promises'
import { formRequest } from '../../examples/demo/browser.js'
import { testKeys, type World } from './host.js'
import {
  addNote,
  authorizeUrl,
  bob,
  callMcp,
  getCode,
  getNotes,
  newBrowser,
  pkce,
  postForm,
  postJson,
  redeem,
  redirectUri,
  refresh,
  type Tokens,
} from './oauth-client.js'
import { approve, clientAnswer, jsonOf, openConsent } from './proxy.js'

/** What each secret is, by the secret. */
export type Secrets = ReadonlyMap<string, string>

/** Which secrets a text holds. */
export function secretsIn(secrets: Secrets, text: string): string[] {
  return [...secrets].filter(([secret]) => text.includes(secret)).map(([, what]) => what)
}

/** The user whose journey it is: by object id, at the emulator's tenant. */
export const traveller = bob

interface Client {
  readonly clientId: string
  readonly secret: { readonly client_secret: string }
}

/**
 * Registration, refusals at every endpoint, deny, a sign-in that fails, consent, login, a claims challenge, on-behalf-of,
 * step-up, refresh, failures of Entra, reuse, replay and revocation. The host needs a refresh grace of a second.
 */
export async function toldJourney(world: World): Promise<Secrets> {
  const secrets = new Map<string, string>()
  const keep = (what: string, value: string | null | undefined) => {
    if (value) secrets.set(value, what)
  }
  const client = await registerClient(world.url, keep)
  await refusedBeforeLogin(world, client)
  const { session, replay } = await firstLogin(world, client, keep)
  await refusedAtGate(world, session, keep)
  const next = await challengedLogin(world, client, session, keep)
  await failingEntra(world, await freshLogin(world, client, keep), client)
  await endOfLogins(world, client, { session, replay, next }, keep)
  keepUpstream(world, keep)
  return secrets
}

type Keep = (what: string, value: string | null | undefined) => void

async function registerClient(url: string, keep: Keep): Promise<Client> {
  const registration = await postJson(`${url}/register`, {
    client_name: 'Client with a secret',
    redirect_uris: [redirectUri],
    token_endpoint_auth_method: 'client_secret_post',
  })
  const { client_id = '', client_secret = '' } = await jsonOf<Record<string, string>>(registration)
  keep('client id', client_id)
  keep('client secret', client_secret)
  return { clientId: client_id, secret: { client_secret } }
}

const params = { scope: 'notes.read', state: 'a-state-of-the-client', login_hint: bob }

async function refusedBeforeLogin({ url }: World, { clientId }: Client): Promise<void> {
  await fetch(authorizeUrl(url, 'no such client', pkce().challenge))
  await fetch(
    authorizeUrl(url, clientId, pkce().challenge, { redirect_uri: 'https://evil.example/' }),
  )
  await newBrowser().fetchOnce(authorizeUrl(url, clientId, pkce().challenge, { scope: 'no.such' }))
  await postForm(`${url}/token`, { client_id: clientId, client_secret: 'a wrong secret' })
  const denied = await openConsent(url, { clientId, params })
  await denied.browser.fetchOnce(...formRequest(denied.page, 'deny'))
  for (const error of ['access_denied', 'server_error']) {
    const { browser, state } = await approve(url, { clientId, params })
    const answer = { state, error, error_description: 'AADSTS65004: Ada Lovelace declined.' }
    await browser.fetchOnce(`${url}/auth/callback?${new URLSearchParams(answer)}`)
  }
  const { browser, state } = await approve(url, { clientId, params })
  const answer = new URLSearchParams({ state, code: 'made up' })
  await browser.fetchOnce(`${url}/auth/callback?${answer}`)
}

type Session = Tokens & { readonly clientId: string }

async function firstLogin({ url }: World, { clientId, secret }: Client, keep: Keep) {
  const login = await approve(url, { clientId, params })
  keep('our state', login.state)
  keep('our nonce', login.upstream.searchParams.get('nonce'))
  keep('code challenge', login.upstream.searchParams.get('code_challenge'))
  const arrival = await login.browser.fetchOnce(login.upstream.href)
  const cookies = await login.browser.jar.getCookieString(url)
  for (const cookie of cookies.split('; ')) keep('cookie', cookie.slice(cookie.indexOf('=') + 1))
  const callback = arrival.headers.get('location') ?? ''
  keep("Entra's code", new URL(callback).searchParams.get('code'))
  const { code = '' } = clientAnswer(await login.browser.fetchOnce(callback))
  keep('code', code)
  keep('verifier', login.verifier)
  await login.browser.fetchOnce(callback)
  await redeem(url, { ...login, code, verifier: 'a wrong verifier' }, secret)
  const redeemed = { ...login, code }
  const tokens = await keepTokens(await redeem(url, redeemed, secret), keep)
  const replay = () => redeem(url, redeemed, secret)
  return { session: { ...tokens, clientId } as Session, replay }
}

async function refusedAtGate({ url, entra }: World, session: Session, keep: Keep): Promise<void> {
  const token = session.access_token
  await getNotes(url, `${token.slice(0, -9)}AAAAAAAAA`)
  await addNote(url, token, 'a note')
  await callMcp(url, token, 'tools/call', { name: 'add_note', arguments: { text: 'a note' } })
  await callMcp(url, token, 'tools/call', { name: 7 })
  // A name that no guard knows may be anything: this client sends its own token.
  await callMcp(url, token, 'tools/call', { name: token })
  const foreign = await entra.mintAccessToken({ user: traveller, scopes: ['other'] })
  keep('access token', foreign)
  await getNotes(url, foreign)
}

async function challengedLogin(
  { url, entra }: World,
  { clientId, secret }: Client,
  session: Session,
  keep: Keep,
): Promise<Session> {
  entra.requireMfa(traveller, true)
  await callMcp(url, session.access_token, 'tools/call', { name: 'my_profile', arguments: {} })
  await refresh(url, session, secret)
  const scope = 'notes.read notes.write'
  const again = await getCode(url, { clientId, user: traveller, scope })
  keep('code', again.code)
  keep('verifier', again.verifier)
  const tokens = await keepTokens(await redeem(url, again, secret), keep)
  const profile = { name: 'my_profile', arguments: {} }
  const called = await callMcp(url, tokens.access_token, 'tools/call', profile)
  if (called.status !== 200) throw new Error(`my_profile: ${called.status}`)
  await called.text()
  entra.requireMfa(traveller, false)
  const next = await keepTokens(await refresh(url, { ...tokens, clientId }, secret), keep)
  return { ...next, clientId }
}

async function failingEntra(
  { url, entra }: World,
  session: Session,
  { secret }: Client,
): Promise<void> {
  for (const fault of [{ error: 7000215 }, { reset: true }, { error: 65001 }, { html: true }]) {
    const remove = entra.fault({ at: 'token', ...fault })
    await (await refresh(url, session, secret)).text()
    const profile = { name: 'my_profile', arguments: {} }
    await (await callMcp(url, session.access_token, 'tools/call', profile)).text()
    remove()
  }
}

interface Logins {
  readonly session: Session
  readonly replay: () => Promise<Response>
  readonly next: Session
}

async function endOfLogins(
  world: World,
  client: Client,
  { session, replay, next }: Logins,
  keep: Keep,
): Promise<void> {
  const { url } = world
  const { clientId, secret } = client
  await wait(2100)
  await replay()
  await getNotes(url, session.access_token)
  const revoke = (token: string) =>
    postForm(`${url}/revoke`, { token, client_id: clientId, ...secret })
  await revoke(next.access_token)
  await getNotes(url, next.access_token)
  const reused = await freshLogin(world, client, keep)
  await keepTokens(await refresh(url, reused, secret), keep)
  await wait(1200)
  await refresh(url, reused, secret)
  const given = await freshLogin(world, client, keep)
  await revoke(given.refresh_token)
}

async function freshLogin(
  { url }: World,
  { clientId, secret }: Client,
  keep: Keep,
): Promise<Session> {
  const code = await getCode(url, { clientId, user: traveller, scope: 'notes.read' })
  keep('code', code.code)
  keep('verifier', code.verifier)
  return { ...(await keepTokens(await redeem(url, code, secret), keep)), clientId }
}

async function keepTokens(response: Response, keep: Keep): Promise<Tokens> {
  if (response.status !== 200) throw new Error(`no tokens: ${await response.text()}`)
  const tokens = await jsonOf<Tokens>(response)
  const [, claims = '', signature] = tokens.access_token.split('.')
  keep('access token', tokens.access_token)
  keep('claims of an access token', claims)
  keep('signature of an access token', signature)
  keep('refresh token', tokens.refresh_token)
  keep('sid', JSON.parse(Buffer.from(claims, 'base64url').toString()).sid)
  return tokens
}

/** What went to Entra and Graph, and the names of those who travelled. */
function keepUpstream({ entra }: World, keep: Keep): void {
  const names = [
    'code',
    'code_verifier',
    'refresh_token',
    'assertion',
    'client_secret',
    'state',
    'nonce',
  ]
  for (const { params: sent, headers } of entra.requests) {
    for (const name of names) keep(`${name} at Entra`, sent[name])
    keep('bearer at Graph', headers.authorization?.replace(/^Bearer /, ''))
  }
  const { username, name } = entra.user(traveller)
  keep('mail address', username)
  keep('display name', name)
  for (const key of testKeys) keep('key', key)
}
