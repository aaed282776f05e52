/**
 * The app registration, as far as Entra shows it to the app itself: a token for the app's own API (client credentials),
 * and sign-ins that ask for nothing to be shown (`prompt=none`) and come back at once.
 */
import { deadlineIn } from '../../async/deadline.js'
import { decodeJwt } from '../../crypto/decode-jwt.js'
import { aadstsCodesIn } from '../../entra/aadsts-codes.js'
import type { EntraAuthority } from '../../entra/authority.js'
import { sendWithProof } from '../../entra/client-proof.js'
import type { ClientCredential } from '../../entra/credentials.js'
import { outcomeByCode } from '../../entra/error-codes.js'
import { EntraError } from '../../entra/errors.js'
import { fetchUpstream } from '../../entra/http-client.js'
import { jsonObject } from '../../entra/json-object.js'
import { readFailure } from '../../entra/read-failure.js'
import { type Finding, failure, ok, warning } from './finding.js'
import { look } from './look.js'

/** The app whose registration is looked at. */
export interface App {
  readonly authority: EntraAuthority
  readonly clientId: string
}

/** Seconds for a token. */
const timeout = 5

const portal = 'Entra admin center > App registrations > (this app)'

/** Codes that speak of the app's id or tenant, and not of its credential. */
const appCodes = [700016, 90002, 50001, 900439]
/** The App ID URI does not exist. */
const noSuchResource = 500011
/** Agents and their blueprints sign nobody in. */
const agentAtAuthorize = 82014
/** The app requires assignment, and is not assigned to itself. That proves the credential all the same. */
const notAssigned = 501051

/** The credential, the App ID URI and the version of tokens. */
export async function checkCredential(
  app: App,
  credential: ClientCredential,
): Promise<readonly Finding[]> {
  if (app.authority.kind === 'b2c') {
    return [
      warning('credential', 'B2C shows nothing without a sign-in', 'sign in once and read the log'),
    ]
  }
  const uri = `api://${app.clientId}`
  try {
    return [
      provenCredential,
      ...checkToken(app, await requestToken(app, credential, `${uri}/.default`)),
    ]
  } catch (error) {
    if (!(error instanceof EntraError)) throw error
    if (error.codes.includes(notAssigned)) {
      const says =
        'the app requires assignment and is not assigned to itself: its token version cannot be seen'
      return [
        provenCredential,
        warning(
          'token version',
          says,
          `check ${portal} > Manifest: "requestedAccessTokenVersion": 2`,
        ),
      ]
    }
    if (!error.codes.includes(noSuchResource)) return [refusedCredential(error)]
    const says = `there is no Application ID URI ${uri}: no client can ask for a scope of this app (AADSTS500011)`
    const audience = failure(
      'app id uri',
      says,
      `${portal} > Expose an API > Application ID URI: add ${uri}, or name yours as identifierUri in entraScopes`,
    )
    return [audience, ...(await checkWithoutUri(app, credential))]
  }
}

/** The client id itself names the API, too. */
async function checkWithoutUri(
  app: App,
  credential: ClientCredential,
): Promise<readonly Finding[]> {
  try {
    return [
      provenCredential,
      ...checkToken(app, await requestToken(app, credential, `${app.clientId}/.default`)),
    ]
  } catch (error) {
    if (!(error instanceof EntraError)) throw error
    return [refusedCredential(error)]
  }
}

const provenCredential = ok('credential', 'Entra takes it')

function refusedCredential(error: EntraError): Finding {
  const isApp = error.codes.some((code) => appCodes.includes(code))
  const remedy = error.hint ?? `look at ${portal} > Certificates & secrets`
  return failure(isApp ? 'app' : 'credential', error.message, remedy)
}

async function requestToken(
  { authority, clientId }: App,
  credential: ClientCredential,
  scope: string,
): Promise<string> {
  // Entra issues no tokens to apps at `common` and `consumers`.
  const tenant = authority.multiTenant ? 'organizations' : authority.tenantId
  const deadline = deadlineIn(timeout)
  return sendWithProof(
    { authority, clientId, credential, tenant, deadline, timeout },
    async (proof) => {
      const body = new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: clientId,
        scope,
        ...('secret' in proof
          ? { client_secret: proof.secret }
          : {
              client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
              client_assertion: proof.assertion,
            }),
      }).toString()
      const answer = await fetchUpstream(authority.tokenEndpoint(tenant), {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body,
        timeout: deadline.secondsLeft(),
      })
      const { access_token: token } = jsonObject(answer.body)
      if (answer.status !== 200 || typeof token !== 'string') throw readFailure(answer)
      return token
    },
  )
}

/** The token came from Entra over TLS, and decides nothing: its signature need not be checked. */
function checkToken({ clientId }: App, token: string): readonly Finding[] {
  const { ver, aud } = decodeJwt(token)?.claims ?? {}
  const version =
    ver === '2.0'
      ? ok('token version', '2.0')
      : failure(
          'token version',
          `Entra issues tokens of version ${String(ver)} for this app: every login ends in access_denied`,
          `${portal} > Manifest: set "requestedAccessTokenVersion" to 2 inside "api"`,
        )
  if (ver !== '2.0' || aud === clientId) return [version]
  const says = `tokens for this app name ${String(aud)} as audience, and not the client id`
  return [version, failure('audience', says, `compare AZURE_CLIENT_ID with ${portal} > Overview`)]
}

/**
 * Whether clients of direct mode may send the URL of the MCP endpoint as `resource`. Entra takes it when it is an
 * Application ID URI of the app, exactly, and then it also issues tokens for it.
 *
 * @see https://learn.microsoft.com/entra/agent-id/secure-mcp-server-with-entra-id
 */
export async function checkMcpUrl(
  app: App,
  credential: ClientCredential | undefined,
  mcpUrl: string,
): Promise<Finding> {
  const check = 'mcp url'
  const remedy = `${portal} > Manifest: "requestedAccessTokenVersion": 2 inside "api" first, then add ${mcpUrl} to "identifierUris"`
  const unseen = `whether ${mcpUrl} is an Application ID URI of the app`
  if (!credential) {
    const says = `without a credential it cannot be seen ${unseen}: clients that send it as resource get AADSTS9010010 if it is none`
    return warning(check, says, remedy)
  }
  try {
    const token = await requestToken(app, credential, `${mcpUrl}/.default`)
    const { aud } = decodeJwt(token)?.claims ?? {}
    if (aud === app.clientId || aud === mcpUrl) {
      if (new URL(mcpUrl).pathname === '/') return warning(check, atRoot(mcpUrl), belowPath)
      return ok(check, `${mcpUrl} is an Application ID URI: clients may send it as resource`)
    }
    const says = `${mcpUrl} is an Application ID URI of another app: its tokens name ${String(aud)} as audience`
    return failure(check, says, `take it from that app, then: ${remedy}`)
  } catch (error) {
    if (!(error instanceof EntraError)) throw error
    if (!error.codes.includes(noSuchResource))
      return warning(check, `Entra did not say ${unseen}: ${error.message}`, remedy)
    if (mcpUrl.startsWith('http:')) return warning(check, onLoopback(mcpUrl), seeThere)
    const says = `${mcpUrl} is no Application ID URI (AADSTS500011): clients that send it as resource, as MCP wants it, get AADSTS9010010`
    return failure(check, says, remedy)
  }
}

/** WHATWG URL: the path of an origin is a slash, and many versions of the MCP SDKs send it. */
function atRoot(mcpUrl: string): string {
  return `${mcpUrl} is an Application ID URI, but many clients send ${mcpUrl}/ as resource, and Entra takes no slash at the end: they get AADSTS9010010`
}

const belowPath = 'put the endpoint below a path, such as /mcp'

/** @see https://learn.microsoft.com/entra/identity-platform/identifier-uri-restrictions */
function onLoopback(mcpUrl: string): string {
  return `${mcpUrl} cannot be an Application ID URI, because those begin with https or api: here, clients that send it as resource get AADSTS9010010`
}

const seeThere = 'try such clients with the https address of the server, and set BASE_URL to it'

/** Whether Entra would send users back to this server. */
export async function checkRedirectUri(app: App, redirectUri: string): Promise<Finding> {
  const { codes, isBack, trouble } = await askSilently(app, redirectUri, 'openid')
  if (trouble !== undefined)
    return failure('redirect uri', trouble, 'let this machine reach the authority')
  if (codes.includes(agentAtAuthorize)) {
    const says = `nobody can sign in: this app is an agent identity or a blueprint (AADSTS${agentAtAuthorize})`
    return failure('redirect uri', says, String(outcomeByCode.get(agentAtAuthorize)?.hint))
  }
  const fatal = codes.find((code) => [50011, 500113, 500112].includes(code))
  if (fatal !== undefined) {
    const says = `${redirectUri} is not registered (AADSTS${fatal}): logins end on a page of Microsoft's`
    return failure(
      'redirect uri',
      says,
      `${portal} > Authentication > Add a platform > Web: add ${redirectUri}`,
    )
  }
  if (isBack)
    return ok(
      'redirect uri',
      `${redirectUri} is registered (its platform must be Web: that cannot be seen from here)`,
    )
  const [code] = codes
  const hint = code === undefined ? undefined : outcomeByCode.get(code)?.hint
  return warning(
    'redirect uri',
    `Entra did not say whether ${redirectUri} is registered${code === undefined ? '' : ` (AADSTS${code})`}`,
    hint ?? 'sign in once',
  )
}

/** Whether the app exposes a scope. Entra may find out only after a sign-in: then there is nothing to see. */
export async function checkScope(app: App, redirectUri: string, scope: string): Promise<Finding> {
  const full = `api://${app.clientId}/${scope}`
  const { codes, isBack, trouble } = await askSilently(app, redirectUri, `${full} openid`)
  if (trouble !== undefined)
    return failure('scope', trouble, 'let this machine reach the authority')
  const fatal = codes.find((code) => [650053, 65005, 500011, 70011, 28002].includes(code))
  if (fatal !== undefined) {
    return failure(
      'scope',
      `the app does not expose ${scope} (AADSTS${fatal}): logins that ask for it fail`,
      `${portal} > Expose an API > Add a scope: ${scope}`,
    )
  }
  if (isBack) return ok('scope', `Entra does not object to ${scope}`)
  return warning(
    'scope',
    `Entra did not say whether there is ${scope}`,
    `look at ${portal} > Expose an API`,
  )
}

interface SilentAnswer {
  readonly codes: readonly number[]
  /** Whether the browser would have come back to the redirect URI. */
  readonly isBack: boolean
  readonly trouble?: string
}

/** A sign-in without a user: Entra answers `login_required` by redirect, or shows what it finds wrong. */
async function askSilently(
  { authority, clientId }: App,
  redirectUri: string,
  scope: string,
): Promise<SilentAnswer> {
  const params = new URLSearchParams({
    client_id: clientId,
    response_type: 'code',
    response_mode: 'query',
    redirect_uri: redirectUri,
    scope,
    prompt: 'none',
    state: 'doctor',
  })
  const answer = await look(`${authority.authorizationEndpoint()}?${params}`)
  if (answer.trouble !== undefined) return { codes: [], isBack: false, trouble: answer.trouble }
  const { location = '' } = answer.headers
  const isBack = location.startsWith(redirectUri)
  const description = isBack ? new URL(location).searchParams.get('error_description') : answer.body
  return { codes: aadstsCodesIn(description ?? ''), isBack }
}
