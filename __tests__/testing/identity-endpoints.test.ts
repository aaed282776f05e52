import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import { createLocalJWKSet, decodeJwt, type JSONWebKeySet, jwtVerify } from 'jose'
import { type EntraAppOptions, type EntraEmulator, startEntra } from 'mcp-entra/testing'
import { defaultApps } from '../../lib/testing/defaults.js'

const identity = {
  clientId: '1de00001-0000-4000-8000-000000000001',
  principalId: '1de00002-0000-4000-8000-00000000abcd',
  resourceId: '/subscriptions/s/x',
}
const exchange = 'api://AzureADTokenExchange'
const [notes, ...others] = defaultApps as [EntraAppOptions, ...EntraAppOptions[]]
let entra: EntraEmulator

beforeAll(async () => {
  entra = await startEntra({
    managedIdentities: [identity],
    apps: [
      { ...notes, applicationPermissions: { [identity.clientId]: ['Notes.Read.All'] } },
      ...others,
    ],
  })
})
afterAll(() => entra.close())
beforeEach(() => {
  entra.clearFaults()
  entra.clearRequests()
})

interface Answer {
  readonly status: number
  readonly body: Readonly<Record<string, string>>
}

interface Question {
  readonly query?: Record<string, string>
  readonly headers?: Record<string, string>
}

async function ask(
  url: string,
  query: Record<string, string>,
  headers: Record<string, string>,
): Promise<Answer> {
  const answer = await fetch(`${url}?${new URLSearchParams(query)}`, { headers })
  return { status: answer.status, body: (await answer.json()) as Answer['body'] }
}

const endpoints = {
  'App Service': ({ query, headers }: Question = {}) => {
    const { IDENTITY_ENDPOINT, IDENTITY_HEADER } = entra.identityEnvironment.appService
    return ask(
      IDENTITY_ENDPOINT,
      { 'api-version': '2019-08-01', resource: exchange, ...query },
      headers ?? { 'X-IDENTITY-HEADER': IDENTITY_HEADER },
    )
  },
  'a virtual machine': ({ query, headers }: Question = {}) => {
    const { AZURE_POD_IDENTITY_AUTHORITY_HOST: host } = entra.identityEnvironment.virtualMachine
    return ask(
      `${host}/metadata/identity/oauth2/token`,
      { 'api-version': '2018-02-01', resource: exchange, ...query },
      headers ?? { Metadata: 'true' },
    )
  },
} as const

describe.each(Object.entries(endpoints))('the identity endpoint of %s', (name, endpoint) => {
  it('hands out a token of the identity that Entra itself has signed', async () => {
    const { status, body } = await endpoint()
    expect(status).toBe(200)
    const keys = await fetch(`${entra.url}/${entra.tenant.id}/discovery/v2.0/keys`)
    const { payload } = await jwtVerify(
      body.access_token ?? '',
      createLocalJWKSet((await keys.json()) as JSONWebKeySet),
      {
        audience: exchange,
        issuer: `${entra.url}/${entra.tenant.id}/v2.0`,
      },
    )
    expect(payload).toMatchObject({
      sub: identity.principalId,
      oid: identity.principalId,
      azp: identity.clientId,
      tid: entra.tenant.id,
      idtyp: 'app',
    })
    expect(Number(payload.exp) - Number(payload.iat)).toBe(24 * 3600)
    expect(body).toMatchObject({
      client_id: identity.clientId,
      expires_on: String(payload.exp),
      not_before: String(payload.nbf),
      resource: exchange,
      token_type: 'Bearer',
    })
    expect('expires_in' in body).toBe(name !== 'App Service')
  })

  it('hands out a token for an API, with its client id as audience and the roles it has granted', async () => {
    const { body } = await endpoint({ query: { resource: `api://${notes.clientId}` } })
    expect(decodeJwt(body.access_token ?? '')).toMatchObject({
      aud: notes.clientId,
      azp: identity.clientId,
      oid: identity.principalId,
      idtyp: 'app',
      roles: ['Notes.Read.All'],
      ver: '2.0',
    })
  })

  it('finds the identity by each of its names', async () => {
    const resource = name === 'App Service' ? 'mi_res_id' : 'msi_res_id'
    for (const query of [
      { client_id: identity.clientId },
      { object_id: identity.principalId },
      { [resource]: identity.resourceId },
    ]) {
      expect((await endpoint({ query })).status).toBe(200)
    }
  })

  it.each<[string, Question, number]>([
    ['an identity that is not there', { query: { client_id: 'x' } }, 400],
    ['a resource nobody knows', { query: { resource: 'api://nowhere' } }, 400],
    ['another version', { query: { 'api-version': '2017-09-01' } }, 400],
    ['no header', { headers: {} }, name === 'App Service' ? 401 : 400],
  ])('refuses %s', async (_what, question, status) => {
    const answer = await endpoint(question)
    expect(answer.status).toBe(status)
    expect(answer.body).not.toHaveProperty('access_token')
  })

  it('wants to hear which of several', async () => {
    const own = entra
    const another = { ...identity, clientId: '1de00003-0000-4000-8000-000000000003' }
    entra = await startEntra({ managedIdentities: [identity, another] })
    expect((await endpoint()).status).toBe(400)
    const { body } = await endpoint({ query: { client_id: another.clientId } })
    expect(decodeJwt(body.access_token ?? '').azp).toBe(another.clientId)
    await entra.close()
    entra = own
  })

  it('is logged, and fails on order', async () => {
    entra.fault({ at: 'identity', status: 500, times: 1 })
    expect((await endpoint()).status).toBe(500)
    expect((await endpoint()).status).toBe(200)
    expect(entra.requestsTo('identity').map(({ status }) => status)).toEqual([500, 200])
  })
})
