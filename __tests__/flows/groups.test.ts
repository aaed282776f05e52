/** `groupsOf`: what the token says, and an error where it does not say. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { authOf, groupsOf, requireBearer } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { type DownstreamHost, get, startDownstreamHost } from '../support/downstream-host.js'
import type { Entra } from '../support/host.js'
import { login } from '../support/oauth-client.js'

const contoso = 'c0a70500-0000-4000-8000-00000000c050'
const notes = 'a9900001-0000-4000-8000-0000000000e5'
const group = (index: number) => `00009909-0000-4000-8000-${String(index).padStart(12, '0')}`
const groupsUpTo = (count: number) => Array.from({ length: count }, (_item, index) => group(index))

const people = { none: 0, some: 2, many: 200, tooMany: 201 }
const oidOf = (name: string) =>
  `0000000${Object.keys(people).indexOf(name)}-0000-4000-8000-000000000009`

let entra: Entra
let host: DownstreamHost
beforeAll(async () => {
  const users = Object.entries(people).map(([name, count]) => ({
    oid: oidOf(name),
    username: `${name}@contoso.example`,
    name,
    groups: groupsUpTo(count),
  }))
  entra = await startEntra({
    tenants: [{ id: contoso, users }],
    apps: [
      {
        clientId: notes,
        tenantId: contoso,
        secrets: ['secret'],
        scopes: ['notes.read', 'notes.write'],
        consented: ['https://graph.microsoft.com/User.Read'],
      },
    ],
  })
  host = await startDownstreamHost({
    entra,
    mount(app, auth) {
      app.get('/api/groups', requireBearer(auth), (req, res) => {
        try {
          res.json({ groups: groupsOf(authOf(req)) })
        } catch (error) {
          res.json({ thrown: String(error) })
        }
      })
    },
  })
})
afterAll(async () => {
  await host.close()
  await entra.close()
})

async function ask(token: string): Promise<unknown> {
  return (await get(`${host.url}/api/groups`, token)).json()
}

const overage =
  'RangeError: groupsOf: the caller is in more groups than a token can name (overage): emit only "Groups assigned to the application" in Token configuration, use app roles, or ask Microsoft Graph (getMemberObjects)'

describe('groupsOf', () => {
  it.each(['none', 'some', 'many'] as const)('lists the groups of the token: %s', async (name) => {
    const token = await entra.mintAccessToken({ user: oidOf(name) })
    expect(await ask(token)).toEqual({ groups: groupsUpTo(people[name]) })
  })

  it('says so when they are too many for a token, and does not guess', async () => {
    expect(await ask(await entra.mintAccessToken({ user: oidOf('tooMany') }))).toEqual({
      thrown: overage,
    })
  })

  it.each([[true], ['true']])('knows the short form of that: hasgroups %p', async (hasgroups) => {
    const token = await entra.mintAccessToken({ user: oidOf('none'), claims: { hasgroups } })
    expect(await ask(token)).toEqual({ thrown: overage })
  })

  it('believes a list that stands beside another claim kept elsewhere', async () => {
    const claims = { _claim_names: { employees: 'src1' } }
    const token = await entra.mintAccessToken({ user: oidOf('some'), claims })
    expect(await ask(token)).toEqual({ groups: groupsUpTo(2) })
  })

  it('knows the groups of who came through the proxy', async () => {
    const { access_token } = await login(host.url, { user: oidOf('some') })
    expect(await ask(access_token)).toEqual({ groups: groupsUpTo(2) })
    const crowded = await login(host.url, { user: oidOf('tooMany') })
    expect(await ask(crowded.access_token)).toEqual({ thrown: overage })
  })

  it('throws a TypeError for an auth that is not of requireBearer', () => {
    expect(() => groupsOf({ extra: {} })).toThrow(TypeError)
  })
})
