/** What an MCP client finds out before it signs a user in: the challenge, and the two metadata documents. */

/** The part of an authorization server's metadata that a sign-in needs. @see RFC 8414 section 2 */
export interface ServerMetadata {
  readonly issuer: string
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly registration_endpoint?: string
}

/** What is known of a protected resource. */
export interface Discovery {
  /** Its identifier. @see RFC 8707 */
  readonly resource: string
  /** The scopes to ask for: those of the challenge, or else all that the metadata names. */
  readonly scope: string
  readonly server: ServerMetadata
}

/** @throws Error when there is no challenge at this URL, or no document where the challenge says */
export async function discover(url: URL): Promise<Discovery> {
  const challenge = await fetchChallenge(url)
  const metadataUrl = parameter(challenge, 'resource_metadata')
  if (metadataUrl === undefined) {
    throw new Error(`The challenge of ${url} names no resource_metadata: ${challenge}`)
  }
  const { resource, authorization_servers, scopes_supported } = (await fetchDocument([
    metadataUrl,
  ])) as { resource: string; authorization_servers: [string]; scopes_supported: string[] }
  const scope = parameter(challenge, 'scope') ?? scopes_supported.join(' ')
  const server = (await fetchDocument(serverDocuments(authorization_servers[0]))) as ServerMetadata
  return { resource, scope, server }
}

/** MCP endpoints are posted to; other routes may only be read. */
async function fetchChallenge(url: URL): Promise<string> {
  const statuses: number[] = []
  for (const method of ['POST', 'GET']) {
    const response = await fetch(url, { method })
    await response.body?.cancel()
    const challenge = response.headers.get('www-authenticate')
    if (response.status === 401 && challenge !== null) return challenge
    statuses.push(response.status)
  }
  throw new Error(
    `${url} answered ${statuses.join(' and ')} without a token, where requireBearer answers 401`,
  )
}

/** Where the metadata may be, in the order of MCP Authorization, "Authorization Server Metadata Discovery". */
function serverDocuments(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer)
  const path = pathname.replace(/\/$/, '')
  const documents = [
    `/.well-known/oauth-authorization-server${path}`,
    `/.well-known/openid-configuration${path}`,
    `${path}/.well-known/openid-configuration`,
  ]
  return [...new Set(documents)].map((document) => origin + document)
}

async function fetchDocument(urls: readonly string[]): Promise<unknown> {
  const answers: string[] = []
  for (const url of urls) {
    const response = await fetch(url)
    if (response.ok) return response.json()
    await response.body?.cancel()
    answers.push(`${url} answered ${response.status}`)
  }
  throw new Error(`No metadata: ${answers.join(', ')}`)
}

function parameter(challenge: string, name: string): string | undefined {
  return new RegExp(`\\b${name}="([^"]*)"`).exec(challenge)?.[1]
}
