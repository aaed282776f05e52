/** The gate: what a client without a token is told, and whether that reaches it. */
import { readParams } from '../explain/challenge.js'
import { checkClock } from './clock.js'
import { type Finding, failure, ok, warning } from './finding.js'
import { look, type Sight } from './look.js'

export interface GateSight {
  readonly findings: readonly Finding[]
  /** Whether something answers there at all. */
  readonly isThere: boolean
  /** The document that the challenge names. */
  readonly metadataUrl?: string
}

type Answer = Exclude<Sight, { readonly trouble: string }>

const initialize = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'initialize',
  params: {
    protocolVersion: '2025-11-25',
    capabilities: {},
    clientInfo: { name: 'mcp-entra doctor', version: '1' },
  },
})

/** @see RFC 6750 section 3, RFC 9728 section 5.1 */
export async function checkGate(url: URL, now: () => number): Promise<GateSight> {
  const answer = await look(url.href, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: initialize,
  })
  if (answer.trouble !== undefined) {
    const finding = failure('gate', answer.trouble, 'start the server, or correct the URL')
    return { findings: [finding], isThere: false }
  }
  const challenge = answer.headers['www-authenticate']
  const params = readParams(challenge ?? '')
  const metadataUrl = params.get('resource_metadata')
  const findings = [
    ...(answer.status === 401 ? checkChallenge(answer, metadataUrl) : [wrongStatus(url, answer)]),
    ...checkClock(url.host, answer.headers.date, now()),
  ]
  return { findings, isThere: true, ...(metadataUrl !== undefined && { metadataUrl }) }
}

function checkChallenge({ headers }: Answer, metadataUrl: string | undefined): readonly Finding[] {
  const challenge = headers['www-authenticate']
  if (challenge === undefined) {
    const says = '401 without WWW-Authenticate: clients cannot find out where to log in'
    return [
      failure(
        'challenge',
        says,
        'a proxy or CDN strips the header: let it pass WWW-Authenticate, and cache no 401',
      ),
    ]
  }
  if (metadataUrl === undefined) {
    const says = 'the challenge has no resource_metadata'
    return [
      failure(
        'challenge',
        says,
        'put requireBearer(auth) in front of the endpoint, and nothing else that answers 401',
      ),
    ]
  }
  const exposed = headers['access-control-expose-headers'] ?? ''
  if (/www-authenticate|\*/i.test(exposed)) return [ok('challenge', `names ${metadataUrl}`)]
  return [
    ok('challenge', `names ${metadataUrl}`),
    warning(
      'cors',
      'clients in a browser cannot read the challenge',
      'a proxy or a cors() of the app overrides Access-Control-Expose-Headers: add WWW-Authenticate',
    ),
  ]
}

function wrongStatus(url: URL, { status, headers }: Answer): Finding {
  const { location } = headers
  if (status >= 300 && status < 400) return redirected(url, location ?? '')
  if (status < 300) {
    return failure(
      'gate',
      `HTTP ${status} without a token: the endpoint is open to everybody`,
      'put requireBearer(auth) in front of it',
    )
  }
  if (status === 404 || status === 405) {
    return failure(
      'gate',
      `HTTP ${status}: there is no MCP endpoint at ${url.pathname}`,
      'give the whole URL, with its path (/mcp), and mount the gate there',
    )
  }
  return failure(
    'gate',
    `HTTP ${status} for a request without a token, where 401 is expected`,
    'something in front of the server answers, or the server is in trouble: see its log',
  )
}

/** A redirect to itself: the app behind the proxy takes every request for http. */
function redirected(url: URL, location: string): Finding {
  const target = URL.canParse(location, url.href) ? new URL(location, url.href) : undefined
  if (target && target.hostname === url.hostname && target.pathname === url.pathname) {
    const says = `the server redirects to its own address (${target.origin}): behind a proxy it takes requests for http`
    return failure(
      'trust proxy',
      says,
      "app.set('trust proxy', …) with the addresses of the proxy, or let the proxy redirect",
    )
  }
  return failure(
    'gate',
    `it redirects to ${target?.origin ?? 'nowhere'}: clients do not take tokens there`,
    'answer at the URL that clients use',
  )
}
