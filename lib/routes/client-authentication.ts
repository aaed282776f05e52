/** Who is calling the token and revocation endpoints: known before anything else is looked at. */
import type { IncomingMessage } from 'node:http'
import { OAuthError } from '../oauth/errors.js'
import type { Params } from '../oauth/params.js'
import type { Client } from '../tokens/clients.js'
import type { ProxyContext } from './context.js'

interface Credentials {
  readonly id: string
  readonly secret?: string
}

/**
 * The authenticated client. An unknown one is 401 `invalid_client`: to MCP clients that means "register again".
 *
 * @throws OAuthError `invalid_client`, or `invalid_request` for two methods at once
 * @see RFC 6749 sections 2.3 and 5.2
 */
export function authenticateClient(
  { clients }: Pick<ProxyContext, 'clients'>,
  req: IncomingMessage,
  params: Params,
): Client {
  const credentials = presented(req, params)
  const client = credentials && clients.find(credentials.id)
  if (!client) throw unknownClient()
  if (client.metadata.token_endpoint_auth_method === 'none') return client
  if (credentials.secret === undefined || !clients.isSecretOf(client, credentials.secret)) {
    throw unknownClient()
  }
  return client
}

function presented(req: IncomingMessage, params: Params): Credentials | undefined {
  const { client_id, client_secret } = params
  const basic = basicCredentials(req.headers.authorization)
  if (basic && client_secret !== undefined) {
    throw new OAuthError('invalid_request', 'Use one method of client authentication.')
  }
  if (basic && client_id !== undefined && client_id !== basic.id) {
    throw new OAuthError('invalid_request', "'client_id' contradicts the Authorization header.")
  }
  if (basic) return basic
  if (client_id === undefined) return undefined
  return { id: client_id, ...(client_secret !== undefined && { secret: client_secret }) }
}

/** The RFC wants both parts form-encoded, the MCP SDKs send them raw: our ids and secrets read the same. */
function basicCredentials(header: string | undefined): Credentials | undefined {
  const encoded = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const secret = formDecoded(text.slice(colon + 1))
  return { id: formDecoded(text.slice(0, colon)), ...(secret !== '' && { secret }) }
}

function formDecoded(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}

function unknownClient(): OAuthError {
  return new OAuthError(
    'invalid_client',
    'The client is not known here, or its secret is wrong. Register again.',
  )
}
