/** `signIn`: the whole way from an MCP endpoint to its tokens, as an MCP client and its user go it. */
import { randomBytes } from 'node:crypto'
import { codeChallenge } from '../../oauth/pkce.js'
import { followSignIn } from './browser.js'
import { type Discovery, discover } from './discovery.js'
import { postForTokens, type RegisteredClient, registerClient } from './requests.js'

/** Options of {@link signIn}. */
export interface SignInOptions {
  /** Who signs in: a username or an object id of the emulator's. */
  readonly as: string
  /** Scopes, separated by spaces (default: those of the challenge). */
  readonly scope?: string
  /** A client that the server knows already (default: a new one is registered). */
  readonly clientId?: string
  /** Its secret, when it has one. */
  readonly clientSecret?: string
  /** Its redirect URI (default: `http://127.0.0.1:33418/callback`, where nobody needs to listen). */
  readonly redirectUri?: string
  /** Which button the user presses on the consent page (default: `approve`). */
  readonly consent?: 'approve' | 'deny'
}

/** A user who has signed in, and the client they did it with. */
export interface SignedIn {
  readonly accessToken: string
  /** Entra gives one only with `offline_access`, which servers with `oauthRoutes` ask for themselves. */
  readonly refreshToken: string | undefined
  /** Seconds. */
  readonly expiresIn: number
  /** The granted scopes, separated by spaces. */
  readonly scope: string
  readonly clientId: string
  readonly clientSecret: string | undefined
}

/** The sign-in was refused: with the parameters of the answer that the client got. @see RFC 6749 section 4.1.2.1 */
export class SignInRefused extends Error {
  override readonly name = 'SignInRefused'

  constructor(
    /** A registered error code, such as `access_denied`. */
    readonly error: string,
    readonly description: string,
  ) {
    super(`${error}: ${description}`)
  }
}

/**
 * Signs a user in without a browser: reads the challenge and the metadata, registers a client, approves it on the consent
 * page, signs in at the emulated Entra, and redeems the code. The server is any that uses mcp-entra with the emulator
 * as its authority, in a process of its own or in yours.
 *
 * @param url a URL that `requireBearer` guards, such as `http://localhost:3000/mcp`
 * @throws SignInRefused when server, user or Entra say no: `access_denied`, `invalid_scope` …
 * @throws Error when the server does not answer as MCP's authorization says it should, with what it answered instead
 * @see MCP Authorization (2025-11-25), RFC 9728, RFC 8414, RFC 7591, RFC 7636
 * @example
 * const { accessToken } = await signIn('http://localhost:3000/mcp', { as: 'ada@contoso.example' })
 */
export async function signIn(url: string | URL, options: SignInOptions): Promise<SignedIn> {
  const { as, redirectUri = 'http://127.0.0.1:33418/callback', consent = 'approve' } = options
  const found = await discover(new URL(url))
  const client = await clientOf(found, redirectUri, options)
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(16).toString('base64url')
  const request = {
    response_type: 'code',
    client_id: client.id,
    redirect_uri: redirectUri,
    scope: options.scope ?? found.scope,
    resource: found.resource,
    state,
    code_challenge: codeChallenge(verifier),
    code_challenge_method: 'S256',
    login_hint: as,
  }
  const start = withParams(found.server.authorization_endpoint, request)
  const answer = await followSignIn(start, redirectUri, { as, consent })
  const code = readAnswer(answer.searchParams, state)
  const tokens = await postForTokens(found.server.token_endpoint, client, {
    grant_type: 'authorization_code',
    code,
    redirect_uri: redirectUri,
    code_verifier: verifier,
    resource: found.resource,
    // Entra itself wants them a second time (AADSTS28003).
    scope: request.scope,
  })
  return {
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token,
    expiresIn: tokens.expires_in,
    scope: tokens.scope ?? request.scope,
    clientId: client.id,
    clientSecret: client.secret,
  }
}

async function clientOf(
  { server }: Discovery,
  redirectUri: string,
  { clientId, clientSecret }: SignInOptions,
): Promise<RegisteredClient> {
  if (clientId !== undefined) return { id: clientId, secret: clientSecret }
  if (server.registration_endpoint !== undefined) {
    return registerClient(server.registration_endpoint, redirectUri)
  }
  throw new Error(`signIn: ${server.issuer} registers no clients: give clientId and redirectUri`)
}

function withParams(endpoint: string, params: Readonly<Record<string, string>>): URL {
  const url = new URL(endpoint)
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
  return url
}

/** @throws SignInRefused when the answer is an error */
function readAnswer(answer: URLSearchParams, state: string): string {
  if (answer.get('state') !== state) throw new Error('signIn: the answer has another state')
  const error = answer.get('error')
  if (error !== null) throw new SignInRefused(error, answer.get('error_description') ?? '')
  const code = answer.get('code')
  if (code === null) throw new Error('signIn: the answer has neither a code nor an error')
  return code
}
