/** The example of enterprise-managed authorization, as a program. */
import { afterAll, afterEach, beforeAll, expect, it } from '@jest/globals'
import { startEntra } from 'mcp-entra/testing'
import { aimAt, presentNew, startAssertionWorld } from '../support/assertion-flow.js'
import type { Entra } from '../support/host.js'
import { ada, callMcp, type Tokens, toolText } from '../support/oauth-client.js'
import { environmentFor, killPrograms, printed, run } from '../support/programs.js'
import { expectRefusal, jsonOf } from '../support/proxy.js'

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterEach(killPrograms)
afterAll(() => entra.close())

it('lets in whom it knows, as the user they are in Entra, and nobody else', async () => {
  const world = await startAssertionWorld({ name: 'Ada at work', scope: undefined })
  const env = {
    ...(await environmentFor(entra)),
    IDENTITY_ISSUER: world.idp.url,
    PEOPLE: JSON.stringify({ 'user-1': ada }),
  }
  const { url } = await printed(run(['enterprise-managed.js'], env), 'MCP server:')
  await aimAt(world, url)
  const response = await presentNew(url, world)
  expect(response.status).toBe(200)
  const { access_token } = await jsonOf<Tokens>(response)
  const whoami = await callMcp(url, access_token, 'tools/call', { name: 'whoami' })
  expect(await toolText(whoami)).toMatchObject({
    tid: entra.tenant.id,
    oid: ada,
    name: 'Ada at work',
  })
  const stranger = await presentNew(url, world, { claims: { sub: 'user-2' } })
  await expectRefusal(stranger, 'invalid_grant')
})
