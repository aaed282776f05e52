/** An OAuth client written by hand, which also sends what an SDK never would. */
import { createHash, randomBytes } from 'node:crypto'
import { Browser, type Page } from '../../examples/demo/browser.js'

export const redirectUri = 'http://127.0.0.1:33418/callback'

/** Object ids of the emulator's first two users: as `login_hint` they sign in without Entra's page. */
export const ada = '0000ada0-0000-4000-8000-000000000001'
export const bob = '0000b0b0-0000-4000-8000-000000000002'

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly scope: string
  readonly token_type: string
}

export interface LoginOptions {
  readonly user?: string
  readonly scope?: string
  readonly resource?: string
  readonly clientId?: string
  readonly browser?: Browser
}

/** Registers a public client. */
export async function register(url: string, metadata: object = {}): Promise<string> {
  const response = await postJson(`${url}/register`, {
    client_name: 'Test client',
    redirect_uris: [redirectUri],
    token_endpoint_auth_method: 'none',
    ...metadata,
  })
  const body = (await response.json()) as { client_id: string }
  if (response.status !== 201)
    throw new Error(`register: ${response.status} ${JSON.stringify(body)}`)
  return body.client_id
}

export function postJson(
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

export function postForm(url: string, params: Record<string, string>): Promise<Response> {
  return fetch(url, { method: 'POST', body: new URLSearchParams(params) })
}

export function newBrowser(): Browser {
  return new Browser({ stopAt: (url) => url.startsWith('http://127.0.0.1:33418/') })
}

export function pkce(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

export function authorizeUrl(
  url: string,
  clientId: string,
  challenge: string,
  more: Record<string, string | undefined> = {},
): string {
  const params: Record<string, string | undefined> = {
    response_type: 'code',
    client_id: clientId,
    redirect_uri: redirectUri,
    code_challenge: challenge,
    code_challenge_method: 'S256',
    state: 'client-state',
    ...more,
  }
  const target = new URL(`${url}/authorize`)
  for (const [name, value] of Object.entries(params)) {
    if (value !== undefined) target.searchParams.set(name, value)
  }
  return target.href
}

/** Gets a code: registers, consents and signs in. */
export async function getCode(
  url: string,
  options: LoginOptions = {},
): Promise<{ code: string; verifier: string; clientId: string; answer: URL }> {
  const clientId = options.clientId ?? (await register(url))
  const browser = options.browser ?? newBrowser()
  const { verifier, challenge } = pkce()
  const page = await browser.open(
    authorizeUrl(url, clientId, challenge, {
      scope: options.scope,
      resource: options.resource,
      login_hint: options.user ?? ada,
    }),
  )
  const answer = new URL((await browser.press(page, 'approve')).url)
  const code = answer.searchParams.get('code')
  if (!code) throw new Error(`no code: ${answer}`)
  return { code, verifier, clientId, answer }
}

export function redeem(
  url: string,
  { code, verifier, clientId }: { code: string; verifier: string; clientId: string },
  more: Record<string, string> = {},
): Promise<Response> {
  return postForm(`${url}/token`, {
    grant_type: 'authorization_code',
    code,
    code_verifier: verifier,
    client_id: clientId,
    redirect_uri: redirectUri,
    ...more,
  })
}

/** Logs in, from registration to tokens. */
export async function login(
  url: string,
  options: LoginOptions = {},
): Promise<Tokens & { clientId: string }> {
  const code = await getCode(url, options)
  const response = await redeem(url, code)
  const body = (await response.json()) as Tokens
  if (response.status !== 200) throw new Error(`token: ${response.status} ${JSON.stringify(body)}`)
  return { ...body, clientId: code.clientId }
}

export function refresh(
  url: string,
  { refresh_token, clientId }: { refresh_token: string; clientId: string },
  more: Record<string, string> = {},
): Promise<Response> {
  return postForm(`${url}/token`, {
    grant_type: 'refresh_token',
    refresh_token,
    client_id: clientId,
    ...more,
  })
}

export function getNotes(url: string, token: string): Promise<Response> {
  return fetch(`${url}/api/notes`, { headers: { authorization: `Bearer ${token}` } })
}

export function addNote(url: string, token: string, text: string): Promise<Response> {
  return postJson(`${url}/api/notes`, { text }, { authorization: `Bearer ${token}` })
}

/** Sends a JSON-RPC request to /mcp. */
export function callMcp(
  url: string,
  token: string,
  method: string,
  params: object = {},
  headers: Record<string, string> = {},
): Promise<Response> {
  return postJson(
    `${url}/mcp`,
    { jsonrpc: '2.0', id: 1, method, params },
    { authorization: `Bearer ${token}`, accept: 'application/json, text/event-stream', ...headers },
  )
}

/** The names of the tools that the server lists to the bearer of this token. */
export async function listedTools(url: string, token: string): Promise<readonly string[]> {
  const { tools } = await rpcResult<{ tools: { name: string }[] }>(
    await callMcp(url, token, 'tools/list'),
  )
  return tools.map(({ name }) => name)
}

async function rpcResult<T>(response: Response): Promise<T> {
  const body = await response.text()
  const data = /^data: (.*)$/m.exec(body)?.[1] ?? body
  return (JSON.parse(data) as { result: T }).result
}

/** The JSON text of a tool's answer. */
export async function toolText(response: Response): Promise<unknown> {
  const { content } = await rpcResult<{ content: [{ text: string }] }>(response)
  return JSON.parse(content[0].text)
}

/** The parameters of a challenge, unquoted. */
export function challengeParams(response: Response): Record<string, string> {
  const header = response.headers.get('www-authenticate') ?? ''
  const params = [...header.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)]
  return Object.fromEntries(params.map(([, name, value]) => [name, value]))
}

export function errorOf(page: Page): string | null {
  return new URL(page.url).searchParams.get('error')
}
