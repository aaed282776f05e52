/** The tool for administrators: who sees it, and who can call it. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startEntra } from 'mcp-entra/testing'
import { defaultTenants } from '../../../lib/testing/defaults.js'
import { type Entra, startHost, type TestHost } from '../../support/host.js'
import {
  ada,
  addNote,
  bob,
  callMcp,
  listedTools,
  login,
  toolText,
} from '../../support/oauth-client.js'

let entra: Entra
let host: TestHost
beforeAll(async () => {
  const [contoso, ...others] = defaultTenants
  const users = contoso?.users.map((one) =>
    one.oid === ada ? { ...one, roles: ['Mcp.Admin'] } : one,
  )
  entra = await startEntra({ tenants: [{ ...contoso, users: users ?? [] } as never, ...others] })
  host = await startHost(entra)
})
afterAll(async () => {
  await host.close()
  await entra.close()
})

const forAll = ['whoami', 'list_notes', 'add_note', 'my_profile']
const audit = (token: string) => callMcp(host.url, token, 'tools/call', { name: 'audit' })

describe('the tool audit', () => {
  it('is listed to a person whose login through the proxy carries the role', async () => {
    const { access_token: admin } = await login(host.url, { user: ada })
    expect(await listedTools(host.url, admin)).toEqual([...forAll, 'audit'])
    const writer = await login(host.url, { user: bob, scope: 'notes.write' })
    await addNote(host.url, writer.access_token, 'one')
    const answer = await toolText(await audit(admin))
    expect(answer).toEqual([{ tid: entra.tenant.id, oid: bob, notes: 1 }])
  })

  it.each(['of ours', "of Entra's"])(
    'is neither listed nor open to others, by a token %s',
    async (kind) => {
      const token =
        kind === 'of ours'
          ? (await login(host.url, { user: bob, scope: 'notes.read notes.write' })).access_token
          : await entra.mintAccessToken({ user: bob, scopes: ['notes.read', 'notes.write'] })
      expect(await listedTools(host.url, token)).toEqual(forAll)
      const refused = await audit(token)
      expect([refused.status, await refused.json()]).toEqual([
        403,
        {
          error: 'access_denied',
          error_description:
            'This needs one of the roles Mcp.Admin. An administrator assigns roles.',
        },
      ])
    },
  )

  it('is listed and open to an app with the role', async () => {
    const client = entra.apps[1]?.clientId ?? ''
    const token = await entra.mintAccessToken({
      user: null,
      client,
      claims: { roles: ['Mcp.Admin'] },
    })
    expect(await listedTools(host.url, token)).toEqual([...forAll, 'audit'])
    expect((await audit(token)).status).toBe(200)
  })

  it('warns nobody of a tool that was hidden from its caller', async () => {
    // A guard looks at the first list of tools alone.
    const fresh = await startHost(entra)
    const { access_token: token } = await login(fresh.url, { user: bob })
    expect(await listedTools(fresh.url, token)).toEqual(forAll)
    await fresh.close()
    expect(JSON.stringify(fresh.logs)).not.toContain('unknown_tools')
  })
})
