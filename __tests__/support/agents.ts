/** An emulated Entra with agents, and how they get their tokens there. */
import { startEntra } from 'mcp-entra/testing'
import { defaultApps, defaultTenants } from '../../lib/testing/defaults.js'
import type { Entra } from './auth-options.js'
import { postForm } from './oauth-client.js'

export const blueprint = 'b10e0001-0000-4000-8000-00000000b10e'
export const agent = 'a9e00001-0000-4000-8000-00000000a9e0'
/** Another agent of the same blueprint: it has no role and no scope. */
export const sibling = 'a9e00002-0000-4000-8000-00000000a9e0'
/** The user account of the agent. */
export const account = '0000a9e0-0000-4000-8000-000000000009'

const [notes] = defaultApps
const api = `api://${notes?.clientId}`

/** Starts it. The first app is the API, or with `apiIsBlueprint` the blueprint of the agents as well. */
export function startEntraWithAgents({ apiIsBlueprint = false } = {}): Promise<Entra> {
  const [contoso, ...others] = defaultTenants
  if (!contoso || !notes) throw new Error('the default directory is empty')
  const users = [
    ...contoso.users,
    { oid: account, username: 'clerk@contoso.example', name: 'Clerk', agent, roles: [] },
  ]
  const parent = {
    clientId: blueprint,
    name: 'Clerks',
    tenantId: contoso.id,
    secrets: ['blueprint-secret'],
    scopes: ['access_agent'],
  }
  const permissions = { ...notes.applicationPermissions, [agent]: ['Notes.Read.All'] }
  const of = apiIsBlueprint ? notes.clientId : blueprint
  return startEntra({
    tenants: [{ ...contoso, users }, ...others],
    apps: [{ ...notes, applicationPermissions: permissions }, ...defaultApps.slice(1), parent],
    agents: [
      { clientId: agent, blueprint: of, name: 'Clerk 1', consented: [`${api}/notes.read`] },
      { clientId: sibling, blueprint: of, name: 'Clerk 2' },
    ],
  })
}

/** Asks the token endpoint. */
export async function askForToken(
  entra: Entra,
  params: Record<string, string>,
): Promise<{ status: number; token: string; error: number | undefined }> {
  const response = await postForm(`${entra.url}/${entra.tenant.id}/oauth2/v2.0/token`, params)
  const body = (await response.json()) as { access_token?: string; error_codes?: number[] }
  return {
    status: response.status,
    token: body.access_token ?? '',
    error: body.error_codes?.[0],
  }
}

const exchange = 'api://AzureADTokenExchange/.default'

/** The blueprint's request for an assertion of one of its agents. */
export function blueprintRequest(more: Record<string, string> = {}): Record<string, string> {
  return {
    grant_type: 'client_credentials',
    client_id: blueprint,
    client_secret: 'blueprint-secret',
    scope: exchange,
    fmi_path: agent,
    ...more,
  }
}

export function agentProof(assertion: string, clientId = agent): Record<string, string> {
  return {
    client_id: clientId,
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: assertion,
  }
}

/** An agent's token for the API on its own. */
export async function agentToken(entra: Entra, id = agent): Promise<string> {
  const { token: proof } = await askForToken(entra, blueprintRequest({ fmi_path: id }))
  const scope = `${api}/.default`
  const params = { grant_type: 'client_credentials', scope, ...agentProof(proof, id) }
  return (await askForToken(entra, params)).token
}

/** What an agent sends to exchange a user's token for the blueprint. */
export function exchangeRequest(
  proof: string,
  assertion: string,
  scope = `${api}/notes.read`,
): Record<string, string> {
  return {
    grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
    requested_token_use: 'on_behalf_of',
    scope,
    assertion,
    ...agentProof(proof),
  }
}

/** A token for the API that the agent got on behalf of a person. */
export async function tokenForPerson(entra: Entra, user: string): Promise<string> {
  const { token: proof } = await askForToken(entra, blueprintRequest())
  const theirs = await entra.mintAccessToken({ user, app: blueprint })
  return (await askForToken(entra, exchangeRequest(proof, theirs))).token
}

/** A token for the API that the agent got with its own user account. */
export async function accountToken(entra: Entra, more: Record<string, string> = {}) {
  const { token: proof } = await askForToken(entra, blueprintRequest())
  const own = { grant_type: 'client_credentials', scope: exchange, ...agentProof(proof) }
  const { token: second } = await askForToken(entra, own)
  return askForToken(entra, {
    grant_type: 'user_fic',
    requested_token_use: 'on_behalf_of',
    scope: `${api}/notes.read`,
    username: 'clerk@contoso.example',
    user_federated_identity_credential: second,
    ...agentProof(proof),
    ...more,
  })
}
