/** What the emulator's tests share: authorization requests, token requests, reading the answers. */
import { createHash, randomBytes } from 'node:crypto'
import { type EntraEmulator, type EntraOptions, startEntra } from 'mcp-entra/testing'

export type Params = Record<string, string | undefined>
export type Body = Record<string, unknown>

/** A token answer, good or bad. */
export interface Answer {
  readonly status: number
  readonly body: Body
  readonly headers: Headers
}

export const callback = 'http://localhost:3000/auth/callback'
export const graph = 'https://graph.microsoft.com'

const others: EntraEmulator[] = []

/** One more emulator, for a single test: closed by {@link closeOthers}, however the test ends. */
export async function startAnother(options?: EntraOptions): Promise<EntraEmulator> {
  const entra = await startEntra(options)
  others.push(entra)
  return entra
}

/** Closes what {@link startAnother} has started. */
export async function closeOthers(): Promise<void> {
  await Promise.all(others.splice(0).map((entra) => entra.close()))
}

/** The default API's scopes in Entra's form, with what a sign-in usually asks besides. */
export function apiScope(entra: EntraEmulator, ...names: string[]): string {
  const prefix = entra.app.identifierUris[0]
  return [...names.map((name) => `${prefix}/${name}`), 'openid', 'profile', 'offline_access'].join(
    ' ',
  )
}

/** An authorization URL of the default app; a parameter that is undefined is left out. */
export function authorizeUrl(
  entra: EntraEmulator,
  more: Params = {},
  tenant = entra.tenant.id,
): string {
  return `${entra.url}/${tenant}/oauth2/v2.0/authorize?${defined({
    client_id: entra.app.clientId,
    response_type: 'code',
    redirect_uri: callback,
    scope: apiScope(entra, 'notes.read'),
    state: 'the state',
    ...more,
  })}`
}

/** Sends an authorization request, by default with Ada's hint, and does not follow. */
export function authorize(
  entra: EntraEmulator,
  more: Params = {},
  tenant?: string,
): Promise<Response> {
  const url = authorizeUrl(entra, { login_hint: 'ada@contoso.example', ...more }, tenant)
  return fetch(url, { redirect: 'manual' })
}

/** Parameters of the redirect. */
export function redirected(response: Response): Record<string, string> {
  const location = response.headers.get('location')
  if (!location) throw new Error(`no redirect but ${response.status}`)
  return Object.fromEntries(new URL(location).searchParams)
}

/** The AADSTS number in a text. */
export function aadsts(text: string | undefined): number {
  return Number(/AADSTS(\d+)/.exec(text ?? '')?.[1])
}

/** Signs in and returns the code. */
export async function getCode(
  entra: EntraEmulator,
  more: Params = {},
  tenant?: string,
): Promise<string> {
  const { code, error_description: why } = redirected(await authorize(entra, more, tenant))
  if (!code) throw new Error(why ?? 'no code')
  return code
}

/** Sends a token request of the default app; a parameter that is undefined is left out. */
export async function token(
  entra: EntraEmulator,
  params: Params,
  {
    tenant = entra.tenant.id,
    headers = {},
  }: { tenant?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(`${entra.url}/${tenant}/oauth2/v2.0/token`, {
    method: 'POST',
    headers,
    body: defined({
      client_id: entra.app.clientId,
      client_secret: entra.app.secrets[0],
      ...params,
    }),
  })
  const body = (await response.json()) as Body
  return { status: response.status, body, headers: response.headers }
}

/** Redeems a code. */
export function redeem(
  entra: EntraEmulator,
  code: string,
  more: Params = {},
  options?: Parameters<typeof token>[2],
): Promise<Answer> {
  return token(
    entra,
    {
      grant_type: 'authorization_code',
      code,
      redirect_uri: callback,
      scope: apiScope(entra, 'notes.read'),
      ...more,
    },
    options,
  )
}

/** Signs in and redeems the code. */
export async function signIn(entra: EntraEmulator, more: Params = {}): Promise<Tokens> {
  const { status, body } = await redeem(entra, await getCode(entra, more))
  if (status !== 200) throw new Error(String(body.error_description))
  return body as unknown as Tokens
}

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly id_token: string
  readonly scope: string
}

/** Refreshes, for the API by default. */
export function refresh(
  entra: EntraEmulator,
  refreshToken: string,
  more: Params = {},
  options?: Parameters<typeof token>[2],
): Promise<Answer> {
  return token(
    entra,
    {
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      scope: apiScope(entra, 'notes.read'),
      ...more,
    },
    options,
  )
}

/** Exchanges on behalf of a user, for Graph by default. */
export function exchange(
  entra: EntraEmulator,
  assertion: string,
  more: Params = {},
  options?: Parameters<typeof token>[2],
): Promise<Answer> {
  return token(
    entra,
    {
      grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      requested_token_use: 'on_behalf_of',
      assertion,
      scope: `${graph}/User.Read`,
      ...more,
    },
    options,
  )
}

/** Claims of a token, unverified. */
export function claimsOf(jwt: unknown): Body {
  return JSON.parse(Buffer.from(String(jwt).split('.')[1] ?? '', 'base64url').toString()) as Body
}

/** Header of a token. */
export function headerOf(jwt: string): Body {
  return JSON.parse(Buffer.from(jwt.split('.')[0] ?? '', 'base64url').toString()) as Body
}

/** What a refusal comes down to. */
export function refusal({ status, body }: Answer): Body {
  return { status, error: body.error, code: (body.error_codes as number[] | undefined)?.[0] }
}

export function pkce(): { verifier: string; challenge: string } {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}

function defined(params: Params): URLSearchParams {
  const entries = Object.entries(params).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  )
  return new URLSearchParams(entries)
}
