/** Who is calling the token and revocation endpoints: known before anything else is looked at. */
import type { IncomingMessage } from 'node:http'
import { decodeJwt } from '../crypto/decode-jwt.js'
import { senderOf } from '../http/sender.js'
import { OAuthError } from '../oauth/errors.js'
import type { Params } from '../oauth/params.js'
import { jwtBearerAssertion } from '../tokens/client-assertions.js'
import type { Client } from '../tokens/clients.js'
import type { ProxyContext } from './context.js'

interface Credentials {
  readonly id: string
  readonly secret?: string
  readonly assertion?: string
}

/**
 * The authenticated client. An unknown one is 401 `invalid_client`: to MCP clients that means "register again".
 *
 * @throws OAuthError `invalid_client`, `invalid_request` for two methods at once, or 503 when there is no
 *   telling who it is
 * @see RFC 6749 sections 2.3 and 5.2, RFC 7523 section 2.2
 */
export async function authenticateClient(
  context: Pick<ProxyContext, 'clients' | 'clientAssertions'>,
  req: IncomingMessage,
  params: Params,
): Promise<Client> {
  const credentials = presented(req, params)
  const sender = senderOf(req)
  const client = credentials && (await context.clients.find(credentials.id, sender))
  if (!client) throw unknownClient()
  await checkCredentials(context, client, credentials, sender)
  return client
}

/** Each client proves itself by the method it is registered with, and by no other. */
async function checkCredentials(
  { clients, clientAssertions }: Pick<ProxyContext, 'clients' | 'clientAssertions'>,
  client: Client,
  { secret, assertion }: Credentials,
  sender: string,
): Promise<void> {
  const { token_endpoint_auth_method: method } = client.metadata
  if ((assertion !== undefined) !== (method === 'private_key_jwt')) {
    throw new OAuthError('invalid_client', `The client must authenticate by '${method}'.`)
  }
  if (assertion !== undefined) return clientAssertions.check(client, assertion, sender)
  if (method === 'none') return
  if (secret === undefined || !clients.isSecretOf(client, secret)) throw unknownClient()
}

function presented(req: IncomingMessage, params: Params): Credentials | undefined {
  const { client_id, client_secret } = params
  const basic = basicCredentials(req.headers.authorization)
  const assertion = presentedAssertion(params)
  const methods = [basic, client_secret, assertion].filter((method) => method !== undefined)
  if (methods.length > 1) {
    throw new OAuthError('invalid_request', 'Use one method of client authentication.')
  }
  if (basic && client_id !== undefined && client_id !== basic.id) {
    throw new OAuthError('invalid_request', "'client_id' contradicts the Authorization header.")
  }
  if (basic) return basic
  if (assertion !== undefined) return asserted(assertion, client_id)
  if (client_id === undefined) return undefined
  return { id: client_id, ...(client_secret !== undefined && { secret: client_secret }) }
}

/** @see RFC 7521 section 4.2 */
function presentedAssertion(params: Params): string | undefined {
  const { client_assertion: assertion, client_assertion_type: type } = params
  if (assertion === undefined && type === undefined) return undefined
  if (assertion === undefined || type !== jwtBearerAssertion) {
    throw new OAuthError(
      'invalid_request',
      `'client_assertion' goes together with 'client_assertion_type' ${jwtBearerAssertion}.`,
    )
  }
  return assertion
}

/** Whose key to check with: as unproven as any other client id, until the signature is checked. */
function asserted(assertion: string, clientId: string | undefined): Credentials | undefined {
  if (clientId !== undefined) return { id: clientId, assertion }
  const subject = decodeJwt(assertion)?.claims.sub
  return typeof subject === 'string' ? { id: subject, assertion } : undefined
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
