/** The two requests of a client that need no browser: its registration, and the exchange of the code for tokens. */

/** A client as the authorization server knows it. */
export interface RegisteredClient {
  readonly id: string
  readonly secret: string | undefined
}

/** A token answer. @see RFC 6749 section 5.1 */
export interface TokenAnswer {
  readonly access_token: string
  readonly refresh_token?: string
  /** Seconds. */
  readonly expires_in: number
  readonly scope?: string
}

/** @see RFC 7591 section 3.1 */
export async function registerClient(
  endpoint: string,
  redirectUri: string,
): Promise<RegisteredClient> {
  const answer = (await post(
    endpoint,
    'application/json',
    JSON.stringify({
      client_name: 'Tests (mcp-entra/testing)',
      redirect_uris: [redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
    }),
  )) as { client_id: string; client_secret?: string }
  return { id: answer.client_id, secret: answer.client_secret }
}

/** @see RFC 6749 section 4.1.3 */
export async function postForTokens(
  endpoint: string,
  { id, secret }: RegisteredClient,
  params: Readonly<Record<string, string>>,
): Promise<TokenAnswer> {
  const body = new URLSearchParams({ ...params, client_id: id })
  if (secret !== undefined) body.set('client_secret', secret)
  const answer = await post(endpoint, 'application/x-www-form-urlencoded', String(body))
  return answer as TokenAnswer
}

/** @throws Error with the server's answer when it is not a success */
async function post(endpoint: string, type: string, body: string): Promise<unknown> {
  const headers = { 'content-type': type }
  const response = await fetch(endpoint, { method: 'POST', headers, body })
  if (response.ok) return response.json()
  throw new Error(`${endpoint} answered ${response.status}: ${await response.text()}`)
}
