/** The documents of discovery, in every order in which clients look for them. */
import { wellKnownPath } from '../../oauth/resource.js'
import { type Finding, failure, ok, warning } from './finding.js'
import { look, type Sight } from './look.js'

export interface DiscoverySight {
  readonly findings: readonly Finding[]
  /** Absent when clients get their tokens from Entra itself. */
  readonly tokenEndpoint?: string
  /** Whether they do, as far as the documents say. */
  readonly isDirect?: boolean
}

type Document = Readonly<Record<string, unknown>>

/**
 * @param metadataUrl what the challenge names
 * @param isAuthority whether a URL is of Entra: only such ones are asked besides the server's own
 * @see RFC 9728 section 3.1, RFC 8414 section 3.1, MCP 2025-11-25 Authorization "Authorization Server Discovery"
 */
export async function checkDiscovery(
  url: URL,
  metadataUrl: string | undefined,
  isAuthority: (url: string) => boolean,
): Promise<DiscoverySight> {
  const resource = await findResource(url, metadataUrl)
  if (!resource.document) return { findings: resource.findings }
  const { issuer, findings } = checkResource(url, resource.document, isAuthority)
  const before = [...resource.findings, ...findings, ...checkDpop(resource.document)]
  if (issuer === undefined) return { findings: before }
  const server = await findServer(url, issuer, isAuthority(issuer))
  const checked = server.document ? checkMetadata(issuer, server.document, isAuthority(issuer)) : []
  const root = isAuthority(issuer) ? [] : await checkRootMetadata(issuer)
  const all = [...before, ...server.findings, ...root, ...checked]
  const endpoint = server.document?.token_endpoint
  if (!isOwn(url, issuer) || typeof endpoint !== 'string' || !isOwn(url, endpoint))
    return { findings: all, isDirect: isAuthority(issuer) }
  return {
    findings: [...all, ...(await checkJwks(url, server.document?.jwks_uri))],
    tokenEndpoint: endpoint,
  }
}

interface Found {
  readonly findings: readonly Finding[]
  readonly document?: Document
}

/** The challenge's document, the one below the endpoint's path, and the one at the root. */
async function findResource(url: URL, named: string | undefined): Promise<Found> {
  const name = 'resource metadata'
  const path = url.pathname === '/' ? '' : url.pathname
  const below = url.origin + wellKnownPath('oauth-protected-resource', path)
  const root = `${url.origin}/.well-known/oauth-protected-resource`
  const findings: Finding[] = []
  if (named !== undefined && !isOwn(url, named)) {
    findings.push(
      failure(
        name,
        `the challenge names ${named}, on another host`,
        `baseUrl must be what clients use: ${url.origin}…`,
      ),
    )
  }
  const main = await look(below)
  const isGood = isDocument(main, 'resource')
  findings.push(isGood ? ok(name, below) : await missing(name, url, below, main))
  if (named !== undefined && named !== below && isOwn(url, named)) {
    findings.push(
      warning(
        name,
        `the challenge names ${named}, where clients first look at ${below}`,
        'the path of the URL is not in entraAuth’s resources',
      ),
    )
  }
  const other = root === below ? main : await look(root)
  if (!isDocument(other, 'resource')) {
    findings.push(
      warning(
        name,
        `${root}: nothing there; some clients look only there`,
        'route /.well-known/ of the host to this server',
      ),
    )
  }
  const document = [main, other].find((sight) => isDocument(sight, 'resource'))
  return {
    findings: [...findings, ...(document ? checkCors(document) : [])],
    ...(document?.trouble === undefined && document && { document: document.json }),
  }
}

function checkResource(
  url: URL,
  { resource, authorization_servers: servers }: Document,
  isAuthority: (url: string) => boolean,
) {
  const findings: Finding[] = []
  const own = url.pathname === '/' ? url.origin : url.href
  if (resource !== own) {
    findings.push(
      failure(
        'resource',
        `the document is about ${String(resource)}, and not about ${own}: clients refuse it`,
        `let users type ${String(resource)}, or correct baseUrl and resources`,
      ),
    )
  }
  const [issuer] = Array.isArray(servers) ? servers : []
  if (typeof issuer !== 'string' || !/^https?:\/\//i.test(issuer) || !URL.canParse(issuer)) {
    findings.push(
      failure(
        'issuer',
        'the document names no authorization server',
        'mount oauthRoutes(auth) or resourceMetadata(auth)',
      ),
    )
    return { findings }
  }
  if (!isOwn(url, issuer) && !isAuthority(issuer)) {
    findings.push(
      failure(
        'issuer',
        `the document sends clients to ${new URL(issuer).origin}, which is neither this server nor Entra`,
        `baseUrl must be what clients use: ${url.origin}…; or something in front serves another document`,
      ),
    )
    return { findings }
  }
  return { findings, issuer }
}

/** Who can come in depends on it, so the operator should see it. @see RFC 9728 section 2 */
function checkDpop(document: Document): readonly Finding[] {
  const { dpop_signing_alg_values_supported: algorithms } = document
  if (!Array.isArray(algorithms)) return []
  const says =
    document.dpop_bound_access_tokens_required === true
      ? 'required: clients without DPoP cannot come in, and neither can tokens of Entra'
      : `allowed: clients that bring proofs (${algorithms.join(', ')}) get tokens bound to their key`
  return [ok('dpop', says)]
}

/** Of a server below a path: clients of before 2025-06-18 look at the root of the host only. */
async function checkRootMetadata(issuer: string): Promise<readonly Finding[]> {
  const { origin, pathname } = new URL(issuer)
  if (pathname === '/') return []
  const root = `${origin}/.well-known/oauth-authorization-server`
  if (isDocument(await look(root), 'token_endpoint')) return []
  const says = `${root}: nothing there; older clients look only there`
  return [warning('server metadata', says, 'route /.well-known/ of the host to this server')]
}

/** Clients in a browser, such as MCP Inspector, read the documents from another origin. */
function checkCors(document: Sight): readonly Finding[] {
  if (document.trouble !== undefined || document.headers['access-control-allow-origin']) return []
  const says = 'clients in a browser cannot read the discovery documents'
  const remedy = 'something in front strips Access-Control-Allow-Origin: let it pass'
  return [warning('cors', says, remedy)]
}

/** As clients do: the first that answers counts. */
async function findServer(url: URL, issuer: string, isEntra: boolean): Promise<Found> {
  const name = 'server metadata'
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const places = [
    `${origin}${wellKnownPath('oauth-authorization-server', path)}`,
    `${origin}${wellKnownPath('openid-configuration', path)}`,
    ...(path === '' ? [] : [`${origin}${path}/.well-known/openid-configuration`]),
  ]
  const findings: Finding[] = []
  for (const place of places) {
    const sight = await look(place)
    if (isDocument(sight, 'token_endpoint')) {
      return {
        findings: [...findings, ok(name, place)],
        ...(sight.trouble === undefined && { document: sight.json }),
      }
    }
    // Of Entra only the last one exists.
    if (!isEntra && findings.length === 0) findings.push(await missing(name, url, place, sight))
    if (sight.trouble === undefined && sight.status === 200 && findings.length === 0)
      findings.push(await missing(name, url, place, sight))
  }
  if (findings.length > 0) return { findings }
  return {
    findings: [
      failure(name, `nothing at ${places.join(', ')}`, 'the tenant in the issuer does not exist'),
    ],
  }
}

function checkMetadata(issuer: string, document: Document, isEntra: boolean): readonly Finding[] {
  const findings: Finding[] = []
  // RFC 8414 section 3.3: identical, character by character.
  if (document.issuer === issuer) findings.push(ok('issuer', issuer))
  else {
    const isSlash = String(document.issuer).replace(/\/$/, '') === issuer.replace(/\/$/, '')
    const says = `the resource names ${issuer}, the server calls itself ${String(document.issuer)}${isSlash ? ': they differ in the slash at the end' : ''}; clients refuse that`
    findings.push(
      failure(
        'issuer',
        says,
        'one spelling everywhere: baseUrl without a slash at the end; for Entra, the tenant id in place of common or organizations',
      ),
    )
  }
  const { origin } = new URL(issuer)
  const strays = ['authorization_endpoint', 'token_endpoint'].filter(
    (name) => !isOwn(new URL(origin), document[name]),
  )
  if (strays.length > 0) {
    findings.push(
      failure(
        'endpoints',
        `${strays.join(' and ')} are not on ${origin}`,
        'baseUrl must be what clients use',
      ),
    )
  }
  if (isEntra) {
    findings.push(
      warning(
        'clients',
        'clients go to Entra themselves: it has no registration, so each needs a client id of its own',
        'use oauthRoutes(auth) for clients that register themselves',
      ),
    )
  } else if (
    !Array.isArray(document.code_challenge_methods_supported) ||
    !document.code_challenge_methods_supported.includes('S256')
  ) {
    findings.push(
      failure(
        'pkce',
        'the server metadata does not name S256: clients refuse it',
        'something in front serves another document',
      ),
    )
  }
  return findings
}

async function checkJwks(url: URL, jwksUri: unknown): Promise<readonly Finding[]> {
  if (typeof jwksUri !== 'string' || !isOwn(url, jwksUri)) return []
  const sight = await look(jwksUri)
  if (isDocument(sight, 'keys')) return []
  return [failure('jwks', `${jwksUri} has no keys`, 'route it to this server')]
}

/** Says what is there in its place, and whether a prefix of the path was cut off or added on the way. */
async function missing(name: string, url: URL, place: string, sight: Sight): Promise<Finding> {
  const found = await findElsewhere(url, place)
  if (found !== undefined) {
    return failure(
      name,
      `nothing at ${place}, but it is at ${found}: clients do not look there`,
      'discovery documents live at the root of the host: mount oauthRoutes(auth) at the root of the app, and route /.well-known/ of the host to it, without cutting the prefix off',
    )
  }
  if (sight.trouble !== undefined)
    return failure(name, sight.trouble, 'start the server, or correct the URL')
  if (sight.isHtml && sight.status === 200) {
    return failure(
      name,
      `${place} is a web page: a catch-all route answers before this server does`,
      'route /.well-known/ of the host to this server, before the web app',
    )
  }
  if (sight.status >= 300 && sight.status < 400) {
    return failure(name, `${place} redirects: clients do not follow`, 'answer there at once')
  }
  return failure(
    name,
    `${place}: HTTP ${sight.status}, no document`,
    'mount oauthRoutes(auth) or resourceMetadata(auth) at the root of the app, and route /.well-known/ of the host to it',
  )
}

/** Below each directory of the endpoint's path, with and without that directory in the document's own path. */
async function findElsewhere(url: URL, place: string): Promise<string | undefined> {
  const { origin, pathname } = new URL(place)
  if (origin !== url.origin) return undefined
  const parts = url.pathname.split('/').slice(1, -1)
  const prefixes = parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)
  const member = pathname.includes('protected-resource') ? 'resource' : 'token_endpoint'
  for (const prefix of prefixes) {
    for (const path of [pathname, pathname.replace(prefix, '')]) {
      const candidate = origin + prefix + path
      if (isDocument(await look(candidate), member)) return candidate
    }
  }
  return undefined
}

function isDocument(sight: Sight, member: string): boolean {
  return sight.trouble === undefined && sight.status === 200 && sight.json[member] !== undefined
}

function isOwn(url: URL, other: unknown): boolean {
  return typeof other === 'string' && URL.canParse(other) && new URL(other).origin === url.origin
}
