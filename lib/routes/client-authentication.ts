/** Authenticates the client at the token and revocation endpoints, before anything else is checked. */
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
  /** Each way in which it may be meant. */
  readonly secrets?: readonly string[]
  readonly assertion?: string
}

/**
 * Finds and authenticates the client. An unknown one gets 401 `invalid_client`, which MCP clients answer by
 * registering again.
 *
 * @throws OAuthError `invalid_client`, `invalid_request` for two methods at once, or 503 when the client's
 *   document or keys are out of reach
 * @see RFC 6749 sections 2.3 and 5.2, RFC 7523 section 2.2
 */
export async function authenticateClient(
  context: Pick<ProxyContext, 'clients' | 'clientAssertions'>,
  req: IncomingMessage,
  params: Params,
): Promise<Client> {
  const credentials = readCredentials(req, params)
  const sender = senderOf(req)
  const client = credentials && (await context.clients.find(credentials.id, sender))
  if (!client) throw unknownClient()
  await checkCredentials(context, client, credentials, sender)
  return client
}

/** A client may use only the method it is registered with. */
async function checkCredentials(
  { clients, clientAssertions }: Pick<ProxyContext, 'clients' | 'clientAssertions'>,
  client: Client,
  { secrets = [], assertion }: Credentials,
  sender: string,
): Promise<void> {
  const { token_endpoint_auth_method: method } = client.metadata
  if ((assertion !== undefined) !== (method === 'private_key_jwt')) {
    throw new OAuthError('invalid_client', `The client must authenticate by '${method}'.`)
  }
  if (assertion !== undefined) return clientAssertions.check(client, assertion, sender)
  if (method === 'none') return
  if (!secrets.some((secret) => clients.isSecretOf(client, secret))) throw unknownClient()
}

function readCredentials(req: IncomingMessage, params: Params): Credentials | undefined {
  const { client_id, client_secret } = params
  const basic = readBasicCredentials(req.headers.authorization)
  const assertion = readAssertion(params)
  const methods = [basic, client_secret, assertion].filter((method) => method !== undefined)
  if (methods.length > 1) {
    throw new OAuthError('invalid_request', 'Use only one method of client authentication.')
  }
  if (basic && client_id !== undefined && client_id !== basic.id) {
    throw new OAuthError(
      'invalid_request',
      "'client_id' differs from the one in the Authorization header.",
    )
  }
  if (basic) return basic
  if (assertion !== undefined) return assertionCredentials(assertion, client_id)
  if (client_id === undefined) return undefined
  return { id: client_id, ...(client_secret !== undefined && { secrets: [client_secret] }) }
}

/** @see RFC 7521 section 4.2 */
function readAssertion(params: Params): string | undefined {
  const { client_assertion: assertion, client_assertion_type: type } = params
  if (assertion === undefined && type === undefined) return undefined
  if (assertion === undefined || type !== jwtBearerAssertion) {
    throw new OAuthError(
      'invalid_request',
      `'client_assertion' needs the 'client_assertion_type' ${jwtBearerAssertion}, and the other way round.`,
    )
  }
  return assertion
}

/** The client id may stand in the assertion alone. It proves nothing until the signature is checked. */
function assertionCredentials(
  assertion: string,
  clientId: string | undefined,
): Credentials | undefined {
  if (clientId !== undefined) return { id: clientId, assertion }
  const subject = decodeJwt(assertion)?.claims.sub
  return typeof subject === 'string' ? { id: subject, assertion } : undefined
}

/**
 * The RFC wants both parts form-encoded, and the MCP SDKs send them as they are. For our own ids and secrets that is the
 * same. A secret of the operator's (base64, say) may have a `+`, so it may be meant in either way; an id has no blanks.
 */
function readBasicCredentials(header: string | undefined): Credentials | undefined {
  const encoded = /^basic +([A-Za-z0-9+/=_-]+) *$/i.exec(header ?? '')?.[1]
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 0) return undefined
  const secret = text.slice(colon + 1)
  return {
    id: decodePercent(text.slice(0, colon)),
    secrets: [decodePercent(secret.replaceAll('+', ' ')), secret],
  }
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text)
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
