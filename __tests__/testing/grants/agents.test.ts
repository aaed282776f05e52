/** Agents at the emulator's token endpoint: what they get, and what each wrong step is refused with. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  account,
  accountToken,
  agent,
  agentProof,
  agentToken,
  askForToken,
  blueprint,
  blueprintRequest,
  exchangeRequest,
  sibling,
  startEntraWithAgents,
} from '../../support/agents.js'
import { claimsOf } from '../../support/emulator-sign-in.js'
import type { Entra } from '../../support/host.js'
import { ada, bob } from '../../support/oauth-client.js'

let entra: Entra
let proof: string
let theirs: string
beforeAll(async () => {
  entra = await startEntraWithAgents()
  proof = (await askForToken(entra, blueprintRequest())).token
  theirs = await entra.mintAccessToken({ user: ada, app: blueprint })
})
afterAll(() => entra.close())

const errorOf = async (params: Record<string, string>) => (await askForToken(entra, params)).error
const own = (assertion: string, id = agent): Record<string, string> => ({
  grant_type: 'client_credentials',
  scope: `api://${entra.app.clientId}/.default`,
  ...agentProof(assertion, id),
})

describe('the assertion of an agent', () => {
  it('goes to its blueprint, and names both', () => {
    expect(claimsOf(proof)).toMatchObject({
      aud: 'api://AzureADTokenExchange',
      azp: blueprint,
      idtyp: 'app',
      sub: expect.stringContaining(`/${blueprint}/${agent}`),
    })
  })

  it.each<[string, Record<string, string>, number]>([
    ['an agent there is not', { fmi_path: '00000000-0000-4000-8000-000000000000' }, 700016],
    ['an app that is no agent', { fmi_path: blueprint }, 700016],
    ['another resource', { scope: 'https://graph.microsoft.com/.default' }, 1002012],
    ['a wrong secret', { client_secret: 'x' }, 7000215],
    ['no proof', { client_secret: '' }, 7000218],
  ])('is not to be had for %s', async (_what, changes, code) => {
    expect(await errorOf(blueprintRequest(changes))).toBe(code)
  })

  it('does not go to another app of the tenant', async () => {
    const { clientId, secrets } = entra.app
    const other = { client_id: clientId, client_secret: secrets[0] ?? '' }
    expect(await errorOf(blueprintRequest(other))).toBe(700016)
  })

  it('proves that agent alone', async () => {
    expect(await errorOf(own(proof))).toBeUndefined()
    expect(await errorOf(own(proof, sibling))).toBe(700213)
    const { clientId } = entra.app
    expect(await errorOf({ ...own(proof), client_id: clientId })).toBe(700211)
  })

  it('is nothing else that Entra has signed', async () => {
    const { token: plain } = await askForToken(entra, blueprintRequest({ fmi_path: '' }))
    expect(await errorOf(own(plain))).toBe(700213)
    expect(await errorOf(own(theirs))).toBe(700213)
    const forged = await entra.mintAccessToken({
      user: null,
      key: 'foreign',
      claims: claimsOf(proof),
    })
    expect(await errorOf(own(forged))).toBe(700027)
    const old = { exp: entra.now() - 600, nbf: entra.now() - 1200 }
    const expired = await entra.mintAccessToken({
      user: null,
      claims: { ...claimsOf(proof), ...old },
    })
    expect(await errorOf(own(expired))).toBe(700024)
  })

  it('is the only proof of an agent: it has no secret', async () => {
    const { client_assertion: _proof, client_assertion_type: _type, ...bare } = own(proof)
    expect(await errorOf({ ...bare, client_secret: 'x' })).toBe(700025)
    expect(await errorOf(bare)).toBe(7000218)
  })
})

describe('an agent', () => {
  it('on its own gets its roles, and no scope', async () => {
    expect(claimsOf(await agentToken(entra))).toMatchObject({
      aud: entra.app.clientId,
      azp: agent,
      idtyp: 'app',
      roles: ['Notes.Read.All'],
      scp: '/',
      xms_act_fct: '3 9 11',
      xms_sub_fct: '9 3 11',
      xms_par_app_azp: blueprint,
    })
  })

  it('exchanges tokens that are for its blueprint', async () => {
    const { token } = await askForToken(entra, exchangeRequest(proof, theirs))
    expect(claimsOf(token)).toMatchObject({
      oid: ada,
      azp: agent,
      idtyp: 'user',
      scp: 'notes.read',
    })
    expect(claimsOf(token)).not.toHaveProperty('xms_sub_fct')
    const elsewhere = await entra.mintAccessToken({ user: ada })
    expect(await errorOf(exchangeRequest(proof, elsewhere))).toBe(500131)
    expect(await errorOf(exchangeRequest(proof, proof))).toBe(500131)
  })

  it('gets no scope that nobody has granted it', async () => {
    const scope = `api://${entra.app.clientId}/notes.write`
    expect(await errorOf(exchangeRequest(proof, theirs, scope))).toBe(65001)
  })

  it('gets tokens of its own user account, and of no other', async () => {
    const { token } = await accountToken(entra)
    expect(claimsOf(token)).toMatchObject({ oid: account, azp: agent, xms_sub_fct: '13 3' })
    expect((await accountToken(entra, { username: 'bob@contoso.example' })).error).toBe(50034)
    const first = { user_federated_identity_credential: proof }
    expect((await accountToken(entra, first)).error).toBe(500131)
  })
})

describe('/authorize', () => {
  const authorize = async (clientId: string, more: Record<string, string> = {}) => {
    const query = new URLSearchParams({
      client_id: clientId,
      response_type: 'code',
      redirect_uri: 'http://localhost/auth/callback',
      scope: 'openid',
      ...more,
    })
    const url = `${entra.url}/${entra.tenant.id}/oauth2/v2.0/authorize?${query}`
    const response = await fetch(url, { redirect: 'manual' })
    return { status: response.status, text: await response.text() }
  }

  it.each([
    ['an agent', agent],
    ['a blueprint', blueprint],
  ])('refuses %s', async (_what, clientId) => {
    const { status, text } = await authorize(clientId)
    expect(status).toBe(400)
    expect(text).toContain('AADSTS82014')
  })

  it('signs nobody in to the user account of an agent', async () => {
    const { clientId } = entra.app
    expect((await authorize(clientId, { login_hint: bob })).status).toBe(302)
    const { status, text } = await authorize(clientId, { login_hint: account })
    expect(status).toBe(200)
    expect(text).not.toContain('clerk@contoso.example')
  })
})

it('refuses a directory whose agent has no blueprint', async () => {
  const { startEntra } = await import('mcp-entra/testing')
  await expect(startEntra({ agents: [{ clientId: agent, blueprint }] })).rejects.toThrow(
    `startEntra: agent ${agent} names an unknown blueprint: "${blueprint}"`,
  )
})
