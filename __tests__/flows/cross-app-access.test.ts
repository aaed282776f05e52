/**
 * Enterprise-managed authorization with real clients: SDK v2's `CrossAppAccessProvider`, and the program with which the
 * official conformance scenario is passed. That scenario brings an authorization server of its own, and its identity
 * provider publishes no key, so nobody else can check its assertions: here the same program meets ours.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  Client,
  CrossAppAccessProvider,
  discoverAndRequestJwtAuthGrant,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'
import { readSettings } from '../../examples/reference-host/settings.js'
import { type AssertionWorld, jwtBearer, startAssertionWorld } from '../support/assertion-flow.js'
import { startWorld, testKeys, type World } from '../support/host.js'
import { ada, postJson } from '../support/oauth-client.js'

let host: World
let work: AssertionWorld
let secret: string
beforeAll(async () => {
  work = await startAssertionWorld({ oid: ada })
  const { identityAssertions } = readSettings({
    ...{ PORT: '1', BASE_URL: 'http://localhost:1', AZURE_TENANT_ID: 'contoso.example' },
    ...{ AZURE_CLIENT_ID: ada, AZURE_CLIENT_SECRET: 'x', MCP_ENTRA_KEYS: testKeys[0] },
    MCP_ENTRA_IDENTITY_ASSERTIONS: JSON.stringify([{ issuer: work.idp.url }]),
  })
  host = await startWorld({ settings: { identityAssertions } })
  work.user = { oid: ada, tid: host.entra.tenant.id }
  const response = await postJson(`${host.url}/register`, {
    client_name: 'Work client',
    grant_types: [jwtBearer],
    token_endpoint_auth_method: 'client_secret_basic',
  })
  const client = (await response.json()) as { client_id: string; client_secret: string }
  Object.assign(work, { clientId: client.client_id, audience: host.url })
  secret = client.client_secret
})
afterAll(() => host.close())

describe("SDK v2's CrossAppAccessProvider", () => {
  it('goes from the id token of a company to a tool, and steps up by a new assertion', async () => {
    const idToken = await work.idp.idToken()
    let assertions = 0
    const authProvider = new CrossAppAccessProvider({
      clientId: work.clientId,
      clientSecret: secret,
      expectedIssuer: host.url,
      async assertion({ authorizationServerUrl, resourceUrl, scope, fetchFn }) {
        assertions += 1
        const { jwtAuthGrant } = await discoverAndRequestJwtAuthGrant({
          idpUrl: work.idp.url,
          audience: authorizationServerUrl,
          resource: resourceUrl,
          idToken,
          clientId: 'idp-client',
          ...(scope !== undefined && { scope }),
          fetchFn,
        })
        return jwtAuthGrant
      },
    })
    const client = new Client({ name: 'work', version: '1' })
    await client.connect(
      new StreamableHTTPClientTransport(new URL(`${host.url}/mcp`), { authProvider }),
    )
    const whoami = await client.callTool({ name: 'whoami', arguments: {} })
    expect(JSON.stringify(whoami)).toContain(ada)
    expect(authProvider.tokens()).toMatchObject({ scope: 'notes.read' })
    expect(authProvider.tokens()).not.toHaveProperty('refresh_token')
    // The tool needs notes.write: the challenge names it, and the provider asks for it.
    const added = await client.callTool({ name: 'add_note', arguments: { text: 'from work' } })
    expect(JSON.stringify(added)).toContain('from work')
    expect(authProvider.tokens()?.scope?.split(' ')).toContain('notes.write')
    expect(assertions).toBe(2)
    await client.close()
  })
})

describe('the client of the official conformance scenario', () => {
  it('lists the tools of the reference host', async () => {
    const path = fileURLToPath(new URL('../conformance/cross-app-client.mjs', import.meta.url))
    const context = {
      client_id: work.clientId,
      client_secret: secret,
      idp_client_id: 'idp-client',
      idp_id_token: await work.idp.idToken(),
      idp_issuer: work.idp.url,
      idp_token_endpoint: `${work.idp.url}/token`,
    }
    const env = { ...process.env, MCP_CONFORMANCE_CONTEXT: JSON.stringify(context) }
    const child = spawn(process.execPath, [path, `${host.url}/mcp`], { env, timeout: 60_000 })
    const closed = once(child, 'close')
    const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
    const [exitCode] = await closed
    expect([exitCode, exitCode === 0 ? '' : errors]).toEqual([0, ''])
    expect(JSON.parse(out)).toContain('list_notes')
  })
})
