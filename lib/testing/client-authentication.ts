/** Which client calls the token endpoint, and how it authenticates. */
import { type Authority, findClient } from './authority.js'
import type { ClientProof } from './claims.js'
import { checkAssertion } from './client-assertion.js'
import type { EntraApp } from './directory.js'
import type { Emulation } from './emulation.js'
import { refuse, required } from './errors.js'
import { type EntraRequest, header, type Params } from './messages.js'

/** A client, and its proof: none, a secret, or an assertion. */
export interface AuthenticatedClient {
  readonly app: EntraApp
  readonly proof: ClientProof
}

/** The parameters of the form, with the credentials of HTTP Basic added. */
export function withBasicCredentials(request: EntraRequest): Params {
  const [scheme = '', encoded = ''] = (header(request, 'authorization') ?? '').split(' ')
  if (scheme.toLowerCase() !== 'basic') return request.form
  const [id = '', ...secret] = Buffer.from(encoded, 'base64').toString().split(':')
  return {
    ...request.form,
    client_id: formDecode(id),
    client_secret: formDecode(secret.join(':')),
  }
}

/** Finds the client and checks its secret or assertion. A client that sends neither counts as public. */
export function authenticateClient(
  emulation: Emulation,
  authority: Authority,
  params: Params,
): AuthenticatedClient {
  const app = findClient(emulation.directory, authority, required(params, 'client_id'))
  if (params.client_secret) return { app, proof: checkSecret(app, params.client_secret) }
  if (!params.client_assertion) return { app, proof: '0' }
  checkAssertion(emulation, authority, app, params)
  return { app, proof: '2' }
}

/** Refuses a client without a proof (AADSTS7000218). */
export function requireProof({ proof }: AuthenticatedClient): void {
  if (proof !== '0') return
  refuse(
    7000218,
    "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.",
  )
}

function checkSecret(app: EntraApp, secret: string): ClientProof {
  if (app.secrets.includes(secret)) return '1'
  if (isPublic(app)) {
    return refuse(
      700025,
      'Client is public so neither client_assertion nor client_secret should be presented.',
    )
  }
  return refuse(
    7000215,
    'Invalid client secret provided. Ensure the secret being sent in the request is the client secret ' +
      `value, not the client secret ID, for a secret added to app '${app.clientId}'.`,
  )
}

function isPublic({ secrets, certificates, federatedCredentials }: EntraApp): boolean {
  return secrets.length + certificates.length + federatedCredentials.length === 0
}

/** RFC 6749 section 2.3.1: both halves are form-encoded before they are joined. */
function formDecode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}
