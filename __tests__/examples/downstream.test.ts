/** The examples of tools that call other APIs as the user: in direct mode, and with the clients of Azure and Graph. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from '@jest/globals'
import { connect, startEntra } from 'mcp-entra/testing'
import { freePort } from '../../bench/free-port.js'
import { createCertificate } from '../../lib/testing/certificate.js'
import { defaultApps, defaultTenants } from '../../lib/testing/defaults.js'
import type { EntraAppOptions } from '../../lib/testing/options.js'
import type { Entra } from '../support/host.js'
import { callMcp, challengeParams } from '../support/oauth-client.js'
import {
  type Environment,
  environmentFor,
  killPrograms,
  printed,
  run,
} from '../support/programs.js'

const as = 'ada@contoso.example'
const oid = '0000ada0-0000-4000-8000-000000000001'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  await killPrograms()
  for (const close of closing.splice(0)) await close()
})

async function startWith(apps: readonly EntraAppOptions[], more = {}): Promise<Entra> {
  const entra = await startEntra({ tenants: defaultTenants, apps, ...more })
  closing.push(entra.close)
  return entra
}

async function start(name: string, env: Environment): Promise<string> {
  await printed(run([`${name}.js`], env), 'MCP server:')
  return `${env.BASE_URL}/mcp`
}

const [notes, daemon] = defaultApps as [EntraAppOptions, EntraAppOptions]

describe('examples/direct', () => {
  it('sends clients to Entra, and proves itself there with the identity of its machine', async () => {
    const identity = {
      clientId: '1de00001-0000-4000-8000-000000000001',
      principalId: '1de00002-0000-4000-8000-000000000001',
    }
    const port = await freePort()
    const redirectUri = 'http://localhost/callback'
    const client = { clientId: 'c11e0001-0000-4000-8000-000000000001', clientSecret: 'a secret' }
    const { clientId, secrets: _none, ...registration } = notes
    const entra = await startWith(
      [
        {
          ...registration,
          clientId,
          identifierUris: [`api://${clientId}`, `http://localhost:${port}/mcp`],
          federatedCredentials: [{ subject: identity.principalId }],
        },
        {
          clientId: client.clientId,
          tenantId: registration.tenantId,
          secrets: [client.clientSecret],
          redirectUris: [redirectUri],
        },
      ],
      { managedIdentities: [identity] },
    )
    const {
      MCP_ENTRA_KEYS: _keys,
      AZURE_CLIENT_SECRET: _secret,
      ...env
    } = await environmentFor(entra)
    const url = await start('direct', {
      ...env,
      ...entra.identityEnvironment.appService,
      PORT: String(port),
      BASE_URL: `http://localhost:${port}`,
      MANAGED_IDENTITY_CLIENT_ID: identity.clientId,
    })

    const refused = await callMcp(url.replace('/mcp', ''), 'none', 'tools/list')
    expect(challengeParams(refused).scope).toBe(`api://${clientId}/notes.read`)
    const connected = await connect(url, { as, sdk: 1, ...client, redirectUri })
    for (const [name, answer] of [
      ['whoami', { oid }],
      ['my_profile', { id: oid }],
    ] as const) {
      const { content } = await connected.callTool({ name })
      expect(JSON.parse(content[0]?.text ?? '')).toMatchObject(answer)
    }
    await connected.close()
    const exchange = entra.requestsTo('token').at(-1)
    expect(exchange).toMatchObject({ grantType: 'on_behalf_of', status: 200 })
    expect(exchange?.params.client_secret).toBeUndefined()
    expect(exchange?.params.client_assertion).toBeTruthy()
  })
})

describe('examples/microsoft-clients', () => {
  it('lets people in by the one scope, and apps by their role; without consent for mail it is a 401', async () => {
    const port = await freePort()
    const { clientId } = notes
    const redirectUri = 'http://localhost/callback'
    const client = { clientId: 'c11e0001-0000-4000-8000-000000000001', clientSecret: 'a secret' }
    const entra = await startWith([
      {
        ...notes,
        scopes: ['access_as_user'],
        identifierUris: [`api://${clientId}`, `http://localhost:${port}/mcp`],
      },
      {
        clientId: client.clientId,
        tenantId: notes.tenantId,
        secrets: [client.clientSecret],
        redirectUris: [redirectUri],
      },
      daemon,
    ])
    const { MCP_ENTRA_KEYS: _keys, ...env } = await environmentFor(entra)
    const base = `http://localhost:${port}`
    const url = await start('microsoft-clients', { ...env, PORT: String(port), BASE_URL: base })

    const person = await connect(url, { as, sdk: 1, ...client, redirectUri })
    const { content } = await person.callTool({ name: 'whoami' })
    expect(JSON.parse(content[0]?.text ?? '')).toMatchObject({ oid })
    await person.close()

    const bearer = await entra.mintAccessToken({ user: as, scopes: ['access_as_user'] })
    const inbox = () => callMcp(base, bearer, 'tools/call', { name: 'inbox', arguments: {} })
    expect((await inbox()).status).toBe(401)
    entra.consent(as, 'https://graph.microsoft.com/Mail.Read')
    expect((await inbox()).status).toBe(200)

    const app = await entra.mintAccessToken({ user: null, client: daemon.clientId })
    const call = (name: string) => callMcp(base, app, 'tools/call', { name, arguments: {} })
    expect((await call('list_notes')).status).toBe(200)
    expect((await call('inbox')).status).toBe(403)
  })
})

describe('examples/azure-clients', () => {
  it('reads from Graph and from Blob storage as the user who calls', async () => {
    const storage = 'https://storage.azure.com'
    const entra = await startWith([
      notes,
      daemon,
      {
        clientId: 'e406a681-f3d4-42a8-90b6-c2b029497af1',
        tenantId: notes.tenantId,
        multiTenant: true,
        identifierUris: [storage],
        scopes: ['user_impersonation'],
        requestedAccessTokenVersion: 1,
      },
    ])
    const azure = await startAzure(entra)
    const url = await start('azure-clients', {
      ...(await environmentFor(entra)),
      GRAPH_URL: `${azure.url}/v1.0`,
      STORAGE_URL: azure.url,
      NODE_EXTRA_CA_CERTS: azure.caFile,
    })
    const client = await connect(url, { as, sdk: 1 })
    const profile = await client.callTool({ name: 'my_profile' })
    expect(JSON.parse(profile.content[0]?.text ?? '')).toMatchObject({ id: oid })
    const containers = await client.callTool({ name: 'my_containers' })
    expect(JSON.parse(containers.content[0]?.text ?? '')).toEqual(['pictures', 'papers'])
    await client.close()
    expect(azure.storageCallers).toEqual([{ oid, aud: storage }])
  })
})

/** https, as the clients insist: Graph is the emulator's, and of Blob storage there is the list of containers. */
async function startAzure(entra: Entra) {
  const { ca, cert, key } = await createCertificate('localhost')
  const folder = await mkdtemp(join(tmpdir(), 'mcp-entra-'))
  const caFile = join(folder, 'ca.pem')
  await writeFile(caFile, ca)
  const storageCallers: unknown[] = []
  const server = createServer({ cert, key }, async (req, res) => {
    const { authorization = '' } = req.headers
    if (req.url?.startsWith('/v1.0/')) {
      const answer = await fetch(entra.url + req.url, { headers: { authorization } })
      res.writeHead(answer.status, { 'content-type': 'application/json' })
      return res.end(await answer.text())
    }
    const claims = JSON.parse(
      Buffer.from(authorization.split('.')[1] ?? '', 'base64url').toString(),
    ) as { oid: string; aud: string }
    storageCallers.push({ oid: claims.oid, aud: claims.aud })
    res.writeHead(200, { 'content-type': 'application/xml' })
    const names = ['pictures', 'papers'].map(
      (name) =>
        `<Container><Name>${name}</Name><Properties><Last-Modified>Wed, 25 Nov 2026 00:00:00 GMT</Last-Modified><Etag>1</Etag></Properties></Container>`,
    )
    return res.end(
      `<?xml version="1.0"?><EnumerationResults><Containers>${names.join('')}</Containers><NextMarker/></EnumerationResults>`,
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
    await rm(folder, { recursive: true })
  })
  const url = `https://localhost:${(server.address() as AddressInfo).port}`
  return { url, caFile, storageCallers }
}
