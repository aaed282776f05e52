/** `mcpAuthRouter` and `ProxyOAuthServerProvider` of the MCP SDK v1; clients are kept in a map. */
import { ProxyOAuthServerProvider } from '@modelcontextprotocol/sdk/server/auth/providers/proxyProvider.js'
import { mcpAuthRouter } from '@modelcontextprotocol/sdk/server/auth/router.js'
import express from 'express'
import { tokenVerifier } from '../../token-verifier.js'
import { listen } from '../listen.js'

export async function startProxy({ port, baseUrl, entra }) {
  const clients = new Map()
  const getClient = async (id) => clients.get(id)
  class Provider extends ProxyOAuthServerProvider {
    // Entra has no registration endpoint that the provider could pass a registration on to.
    get clientsStore() {
      return {
        getClient,
        async registerClient(client) {
          clients.set(client.client_id, client)
          return client
        },
      }
    }
  }
  const provider = new Provider({
    endpoints: {
      authorizationUrl: entra.authorizationEndpoint,
      tokenUrl: entra.tokenEndpoint,
    },
    verifyAccessToken: tokenVerifier(entra),
    getClient,
  })
  const unlimited = { rateLimit: false }
  const router = mcpAuthRouter({
    provider,
    issuerUrl: new URL(baseUrl),
    authorizationOptions: unlimited,
    tokenOptions: unlimited,
    clientRegistrationOptions: unlimited,
  })
  await listen(express().disable('x-powered-by').use(router), port)
}
