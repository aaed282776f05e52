/** A server that acts as an agent: what its callers hear when the agent may not do what they want. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { agentCredential, clientSecret } from 'mcp-entra'
import { agent, startEntraWithAgents } from '../support/agents.js'
import { type DownstreamHost, startDownstreamHost, userRead } from '../support/downstream-host.js'
import { ask } from '../support/gate.js'
import type { Entra } from '../support/host.js'
import { ada } from '../support/oauth-client.js'

let entra: Entra
let host: DownstreamHost
beforeAll(async () => {
  entra = await startEntraWithAgents({ apiIsBlueprint: true })
  const blueprint = clientSecret(entra.app.secrets[0] ?? '')
  host = await startDownstreamHost({
    entra,
    direct: true,
    options: { mode: 'direct', credential: agentCredential({ blueprint, agent }) },
  })
})
afterEach(() => entra.clearFaults())
afterAll(async () => {
  await host.close()
  await entra.close()
})

const call = async () =>
  ask(`${host.url}/api/graph`, await entra.mintAccessToken({ user: ada, scopes: ['notes.read'] }))

describe('without a consent for the agent', () => {
  it('answers 403 with a link that names the agent: no sign-in of the user could help', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 65001 })
    const response = await call()
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([403, null])
    const { error, error_description: text } = (await response.json()) as Record<string, string>
    expect(error).toBe('access_denied')
    const [, link = ''] =
      /^Nobody has consented to this agent using the downstream API\. An administrator can: (\S+)$/.exec(
        text ?? '',
      ) ?? []
    const { origin, pathname, searchParams } = new URL(link)
    expect([origin, pathname]).toEqual([entra.url, `/${entra.tenant.id}/v2.0/adminconsent`])
    expect(Object.fromEntries(searchParams)).toEqual({
      client_id: agent,
      scope: userRead,
      redirect_uri: 'https://entra.microsoft.com/TokenAuthorize',
    })
  })

  it('still asks for more proof of the user, which only a sign-in can bring', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076 })
    const response = await call()
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('insufficient_claims')
  })
})
