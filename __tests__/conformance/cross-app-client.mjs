/**
 * An MCP client that an identity provider lets in, made of SDK v2's `CrossAppAccessProvider`. The official runner
 * starts it (`client --scenario auth/enterprise-managed-authorization`), and so does a test of ours in front of the
 * reference host: `node cross-app-client.mjs URL`. `MCP_CONFORMANCE_CONTEXT` says who the client and the user are.
 */
import {
  Client,
  CrossAppAccessProvider,
  requestJwtAuthorizationGrant,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'

const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}')
const authProvider = new CrossAppAccessProvider({
  clientId: context.client_id,
  clientSecret: context.client_secret,
  async assertion({ authorizationServerUrl, resourceUrl, scope, fetchFn }) {
    const { jwtAuthGrant } = await requestJwtAuthorizationGrant({
      tokenEndpoint: context.idp_token_endpoint,
      audience: authorizationServerUrl,
      resource: resourceUrl,
      idToken: context.idp_id_token,
      clientId: context.idp_client_id,
      scope,
      fetchFn,
    })
    return jwtAuthGrant
  },
})
const client = new Client({ name: 'cross-app-client', version: '1.0.0' })
await client.connect(
  new StreamableHTTPClientTransport(new URL(process.argv.at(-1)), { authProvider }),
)
const { tools } = await client.listTools()
console.log(JSON.stringify(tools.map(({ name }) => name)))
await client.close()
