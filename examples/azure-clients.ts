/**
 * Azure SDK clients and the Graph client with the user as their credential: what a tool reads is what its user may read.
 * The app registration needs the delegated permissions `User.Read` of Microsoft Graph and `user_impersonation` of Azure
 * Storage, and the user a role such as Storage Blob Data Reader.
 * `STORAGE_URL=https://contoso.blob.core.windows.net npm run example:one build/examples/azure-clients.js`, with your tenant:
 * these clients send no token without https, and the emulated Graph has none.
 */
import { BlobServiceClient } from '@azure/storage-blob'
import { Client } from '@microsoft/microsoft-graph-client'
import { TokenCredentialAuthenticationProvider } from '@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js'
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import express from 'express'
import {
  clientSecret,
  downstreamCredential,
  entraAuth,
  entraScopes,
  oauthRoutes,
  oboToken,
  requireBearer,
} from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { MCP_ENTRA_KEYS = '' } = process.env // openssl rand -base64 32

const { GRAPH_URL = 'https://graph.microsoft.com/v1.0' } = process.env
const { STORAGE_URL = 'https://contoso.blob.core.windows.net' } = process.env

const graphScopes = ['https://graph.microsoft.com/User.Read']
const storageScopes = ['https://storage.azure.com/user_impersonation']

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({
    clientId: AZURE_CLIENT_ID,
    required: ['notes.read'],
    // Users consent to these when they sign in.
    additional: [...graphScopes, ...storageScopes],
  }),
  keys: MCP_ENTRA_KEYS.split(','),
})

/** Microsoft Graph as the user who calls. */
function graphOf(authInfo: AuthInfo | undefined): Client {
  const credential = downstreamCredential(authInfo)
  const { origin, hostname } = new URL(GRAPH_URL)
  return Client.initWithMiddleware({
    authProvider: new TokenCredentialAuthenticationProvider(credential, { scopes: graphScopes }),
    baseUrl: origin,
    customHosts: new Set([hostname]),
  })
}

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'azure-clients', version: '1.0.0' })
  server.registerTool('my_profile', { description: 'Your profile' }, async ({ authInfo }) => {
    const profile: unknown = await graphOf(authInfo).api('/me').get()
    return { content: [{ type: 'text', text: JSON.stringify(profile) }] }
  })
  server.registerTool('my_containers', { description: 'Blobs' }, async ({ authInfo }) => {
    const blobs = new BlobServiceClient(STORAGE_URL, downstreamCredential(authInfo))
    const names: string[] = []
    for await (const { name } of blobs.listContainers()) names.push(name)
    return { content: [{ type: 'text', text: JSON.stringify(names) }] }
  })
  return server
}

const app = express()
app.use(oauthRoutes(auth))
app.all(
  '/mcp',
  requireBearer(auth),
  // Both tokens are there before their tool runs; when Entra refuses one, the client gets an answer it can act on. The
  // Blob client asks for `/.default`, so the token is exchanged under that name.
  oboToken(auth, {
    graph: { scopes: graphScopes, tools: ['my_profile'] },
    storage: { scopes: ['https://storage.azure.com/.default'], tools: ['my_containers'] },
  }),
  async (req, res) => {
    const server = mcpServer()
    res.on('close', () => server.close())
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  },
)
app.listen(Number(PORT), (error) => {
  if (error) throw error
  console.log(`MCP server: ${BASE_URL}/mcp`)
})
