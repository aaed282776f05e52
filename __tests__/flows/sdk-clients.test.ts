/** The real SDK clients, both generations, with a document instead of a registration. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import {
  Client as ClientV2,
  createPrivateKeyJwtAuth as privateKeyV2,
  StreamableHTTPClientTransport as TransportV2,
} from '@modelcontextprotocol/client'
import { createPrivateKeyJwtAuth as privateKeyV1 } from '@modelcontextprotocol/sdk/client/auth-extensions.js'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import { entraAuth, oauthRoutes, requireBearer } from 'mcp-entra'
import { type DocumentServer, startDocumentServer } from '../support/client-documents.js'
import { listen } from '../support/host.js'
import { authOptions, startTestEntra } from '../support/proxy.js'
import { TestProvider } from '../support/sdk-provider.js'

type AddClientAuthentication = (
  headers: Headers,
  params: URLSearchParams,
  url: string | URL,
  // biome-ignore lint/suspicious/noExplicitAny: each SDK generation has its own type for the same JSON
  metadata?: any,
) => void | Promise<void>

/** A client that has a document, and may have a key. */
class DocumentProvider extends TestProvider {
  addClientAuthentication?: AddClientAuthentication

  constructor(readonly clientMetadataUrl: string) {
    super('ada@contoso.example')
  }
}

const info = { name: 'document client', version: '1' }

const v1 = {
  name: 'SDK v1',
  privateKey: privateKeyV1,
  async whoami(url: URL, provider: DocumentProvider): Promise<unknown> {
    const client = new ClientV1(info)
    await client.connect(new TransportV1(url, { authProvider: provider }))
    const result = await client.callTool({ name: 'whoami', arguments: {} })
    await client.close()
    return result.content
  },
  finish: (url: URL, provider: DocumentProvider, answer: URLSearchParams) =>
    new TransportV1(url, { authProvider: provider }).finishAuth(answer.get('code') ?? ''),
}

const v2 = {
  name: 'SDK v2',
  privateKey: privateKeyV2,
  async whoami(url: URL, provider: DocumentProvider): Promise<unknown> {
    const client = new ClientV2(info)
    await client.connect(new TransportV2(url, { authProvider: provider }))
    const result = await client.callTool({ name: 'whoami', arguments: {} })
    await client.close()
    return result.content
  },
  finish: (url: URL, provider: DocumentProvider, answer: URLSearchParams) =>
    new TransportV2(url, { authProvider: provider }).finishAuth(answer),
}

let documents: DocumentServer
let url: URL
let close: () => Promise<void>
afterAll(() => close())
const paths: string[] = []
beforeAll(async () => {
  const entra = await startTestEntra()
  documents = await startDocumentServer()
  const server = await listen((baseUrl) => {
    entra.addRedirectUri(`${baseUrl}/auth/callback`)
    const auth = entraAuth({
      ...authOptions(entra, baseUrl, []),
      clientMetadata: documents.options,
    })
    const app = express()
    app.use((req, _res, next) => {
      paths.push(req.path)
      next()
    })
    app.use(oauthRoutes(auth))
    app.post('/mcp', requireBearer(auth), async (req, res) => {
      const mcp = new McpServer(info)
      mcp.registerTool('whoami', { description: 'Which application is asking' }, (extra) => ({
        content: [{ type: 'text', text: extra.authInfo?.clientId ?? '' }],
      }))
      const transport = new StreamableHTTPServerTransport({})
      await mcp.connect(transport)
      await transport.handleRequest(req, res)
    })
    return app
  })
  url = new URL(`${server.url}/mcp`)
  close = server.close
})

describe.each([v1, v2])('a client of $name', ({ whoami, finish, privateKey }) => {
  async function expectJourney(provider: DocumentProvider): Promise<void> {
    const { clientMetadataUrl } = provider
    const before = paths.length
    await expect(whoami(url, provider)).rejects.toThrow()
    expect(provider.sentTo[0]?.searchParams.get('client_id')).toBe(clientMetadataUrl)
    await finish(url, provider, await provider.signIn())
    expect(await whoami(url, provider)).toEqual([{ type: 'text', text: clientMetadataUrl }])
    provider.saveTokens({ ...provider.tokens(), access_token: 'no longer good' })
    expect(await whoami(url, provider)).toEqual([{ type: 'text', text: clientMetadataUrl }])
    expect(provider.sentTo).toHaveLength(1)
    expect(paths.slice(before)).not.toContain('/register')
  }

  it('with a clientMetadataUrl logs in, calls and refreshes, and never registers', async () => {
    await expectJourney(new DocumentProvider(documents.publish()))
  })

  // The SDKs' own helper knows no EdDSA.
  it.each(['ES256', 'RS256'])('that signs with %s does so, too', async (alg) => {
    const { privateKey: key, publicKey } = await generateKeyPair(alg, { extractable: true })
    const clientId = documents.publish({
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [await exportJWK(publicKey)] },
    })
    const provider = new DocumentProvider(clientId)
    provider.addClientAuthentication = privateKey({
      issuer: clientId,
      subject: clientId,
      privateKey: await exportPKCS8(key),
      alg,
    }) as AddClientAuthentication
    await expectJourney(provider)
  })
})
