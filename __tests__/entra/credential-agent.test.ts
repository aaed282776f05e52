/** Acting as an agent identity: what is sent to Entra for it, how often, and what comes of failures. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { agentCredential, clientCertificate, clientSecret, entraAuth } from 'mcp-entra'
import { decodeJwt } from '../../lib/crypto/decode-jwt.js'
import { entraAuthority } from '../../lib/entra/authority.js'
import { type TokenEndpoint, tokenEndpoint } from '../../lib/entra/token-endpoint.js'
import { agent, sibling, startEntraWithAgents } from '../support/agents.js'
import { authOptions } from '../support/auth-options.js'
import { outcome } from '../support/entra.js'
import type { Entra } from '../support/host.js'
import { certificate, clientId, endpointOf, graph, startApp, tenant } from '../support/legs.js'
import { ada } from '../support/oauth-client.js'

const userRead = 'https://graph.microsoft.com/User.Read'
let entra: Entra
beforeAll(async () => {
  entra = await startEntraWithAgents({ apiIsBlueprint: true })
})
afterEach(() => {
  entra.clearFaults()
  entra.clearRequests()
})
afterAll(() => entra.close())

const secret = () => clientSecret(entra.app.secrets[0] ?? '')

function endpointFor(id = agent, blueprint = secret()): TokenEndpoint {
  const authority = entraAuthority({ host: entra.url, tenantId: entra.tenant.id })
  const credential = agentCredential({ blueprint, agent: id })
  return tokenEndpoint({ authority, clientId: entra.app.clientId, credential })
}

async function exchange(endpoint: TokenEndpoint, user = ada) {
  const assertion = await entra.mintAccessToken({ user })
  return endpoint.onBehalfOf({ assertion, scopes: [userRead], tenant: entra.tenant.id })
}

describe('agentCredential', () => {
  it('exchanges a token as the agent, on an assertion that its blueprint got', async () => {
    const { accessToken } = await exchange(endpointFor())
    const claims = decodeJwt(accessToken)?.claims
    expect(claims).toMatchObject({
      appid: agent,
      oid: ada,
      xms_par_app_azp: entra.app.clientId,
      xms_act_fct: expect.stringContaining('11'),
    })
    const [first, second, ...more] = entra.requestsTo('token')
    expect(more).toEqual([])
    expect(first?.params).toEqual({
      grant_type: 'client_credentials',
      client_id: entra.app.clientId,
      client_secret: 'notes-mcp-secret',
      scope: 'api://AzureADTokenExchange/.default',
      fmi_path: agent,
    })
    expect(second).toMatchObject({ grantType: 'on_behalf_of', clientId: agent })
    expect(second?.params).not.toHaveProperty('client_secret')
  })

  it('takes a blueprint that signs, and sends its signature where the secret would be', async () => {
    const pair = await certificate()
    const agents = [{ clientId: agent, blueprint: clientId, consented: [graph] }]
    const own = await startApp({ certificates: [pair.certificate] }, { agents })
    const blueprint = clientCertificate(pair)
    const endpoint = endpointOf(own, agentCredential({ blueprint, agent }))
    const assertion = await own.mintAccessToken()
    const { accessToken } = await endpoint.onBehalfOf({ assertion, scopes: [graph], tenant })
    expect(decodeJwt(accessToken)?.claims).toMatchObject({ appid: agent, oid: clientId })
    const [first] = own.requestsTo('token')
    expect(Object.keys(first?.params ?? {}).sort()).toEqual([
      'client_assertion',
      'client_assertion_type',
      'client_id',
      'fmi_path',
      'grant_type',
      'scope',
    ])
    await own.close()
  })

  it('writes the id of the agent as Entra does', async () => {
    await exchange(endpointFor(agent.toUpperCase()))
    const [first, second] = entra.requestsTo('token')
    expect([first?.params.fmi_path, second?.clientId]).toEqual([agent, agent])
  })

  it('asks for one assertion, however many tokens are exchanged at once and later', async () => {
    const endpoint = endpointFor()
    await Promise.all(Array.from({ length: 10 }, () => exchange(endpoint)))
    await exchange(endpoint)
    const asked = entra.requestsTo('token').filter(({ params }) => params.fmi_path)
    expect(asked).toHaveLength(1)
  })

  it('keeps two agents of one blueprint apart', async () => {
    entra.consent('all', userRead, sibling)
    const [one, two] = [endpointFor(), endpointFor(sibling)]
    const tokens = await Promise.all([exchange(one), exchange(two), exchange(one)])
    const actors = tokens.map(({ accessToken }) => decodeJwt(accessToken)?.claims.appid)
    expect(actors).toEqual([agent, sibling, agent])
  })

  it('gets another assertion when Entra finds the first outdated', async () => {
    const endpoint = endpointFor()
    await exchange(endpoint)
    entra.fault({ at: 'token', grant: 'on_behalf_of', error: 700024, times: 1 })
    // Entra's tokens of one second are the same.
    entra.advance(1)
    await exchange(endpoint)
    const asked = entra.requestsTo('token').filter(({ params }) => params.fmi_path)
    expect(asked).toHaveLength(2)
  })

  it.each([
    [
      'the secret of the blueprint is wrong',
      () => endpointFor(agent, clientSecret('wrong')),
      7000215,
    ],
    ['the agent is not one of the blueprint', () => endpointFor(entra.apps[1]?.clientId), 700016],
  ])('is a fault of the operator when %s', async (_what, endpoint, code) => {
    const error = await outcome(() => exchange(endpoint()))
    expect(error).toMatchObject({ kind: 'misconfigured', codes: [code] })
    expect(String(error)).not.toContain('wrong')
  })

  it.each([53003, 50076, 50053, 50173, 65001, 500131])(
    'never blames the user when Entra refuses the blueprint its assertion: AADSTS%i',
    async (code) => {
      entra.fault({ at: 'token', grant: 'client_credentials', error: code })
      const error = await outcome(() => exchange(endpointFor()))
      expect(error).toMatchObject({
        kind: 'misconfigured',
        codes: [code],
        claims: undefined,
        hint: expect.stringContaining('Conditional Access policies for agents'),
      })
    },
  )

  it('is as unavailable as Entra is, when the assertion cannot be had', async () => {
    entra.fault({ at: 'token', grant: 'client_credentials', retryAfter: 17 })
    const error = await outcome(() => exchange(endpointFor()))
    expect(error).toMatchObject({ kind: 'unavailable', retryAfter: 17 })
  })

  it('does not exchange a token that is for another application', async () => {
    const assertion = await entra.mintAccessToken({ user: ada, app: entra.apps[2]?.clientId ?? '' })
    const error = await outcome(() =>
      endpointFor().onBehalfOf({ assertion, scopes: [userRead], tenant: entra.tenant.id }),
    )
    expect(error).toMatchObject({ kind: 'invalid_assertion', codes: [500131] })
  })

  it('is for direct mode: nobody can sign in to an agent or a blueprint', () => {
    const credential = agentCredential({ blueprint: secret(), agent })
    const options = authOptions(entra, 'https://mcp.contoso.example', [], { credential })
    expect(() => entraAuth(options)).toThrow(/with agentCredential say mode: 'direct'/)
    expect(() => entraAuth({ ...options, mode: 'direct' })).not.toThrow()
  })

  it('says what is wrong with its options', () => {
    expect(() => agentCredential({ blueprint: 'secret' as never, agent })).toThrow(TypeError)
    const nested = agentCredential({ blueprint: secret(), agent })
    expect(() => agentCredential({ blueprint: nested, agent: sibling })).toThrow(
      'agentCredential: blueprint is an agentCredential itself',
    )
    const self = agentCredential({ blueprint: secret(), agent: entra.app.clientId.toUpperCase() })
    const options = { credential: self, mode: 'direct' } as const
    const all = authOptions(entra, 'https://mcp.contoso.example', [], options)
    expect(() => entraAuth(all)).toThrow(/clientId is the blueprint, and agent .* are the same/)
    expect(() => agentCredential({ blueprint: secret(), agent: 'Clerk' })).toThrow(
      'agentCredential: agent must be the Application (client) ID of the agent identity: a GUID',
    )
  })
})
