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
  host = await startHost()
})
afterEach(() => entra.clearFaults())
afterAll(async () => {
  await host.close()
  await entra.close()
})

function startHost(): Promise<DownstreamHost> {
  const blueprint = clientSecret(entra.app.secrets[0] ?? '')
  const credential = agentCredential({ blueprint, agent })
  return startDownstreamHost({ entra, direct: true, options: { mode: 'direct', credential } })
}

const call = async ({ url } = host) =>
  ask(`${url}/api/graph`, await entra.mintAccessToken({ user: ada, scopes: ['notes.read'] }))

describe('a server that acts as an agent', () => {
  it('answers 403 without a consent, with a link that names the agent: no sign-in of the user could help', async () => {
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

  it('answers 503 when Entra refuses the agent itself: no sign-in of the user could help', async () => {
    entra.fault({ at: 'token', grant: 'client_credentials', error: 53003 })
    const fresh = await startHost()
    const response = await call(fresh)
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([503, null])
    await fresh.close()
  })

  it('still asks for more proof of the user, which only a sign-in can bring', async () => {
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 50076 })
    const response = await call()
    expect(response.status).toBe(401)
    expect(response.headers.get('www-authenticate')).toContain('insufficient_claims')
  })
})
