/** `oidc-provider`, an authorization server of its own: it knows its users, and asks nobody else. */
import { generateKeyPairSync } from 'node:crypto'
import Provider from 'oidc-provider'
import { listen } from '../listen.js'

export async function startProxy({ port, baseUrl, entra }) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const provider = new Provider(baseUrl, {
    clientAuthMethods: ['none'],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    cookies: { keys: ['a key of the bench'] },
    features: {
      devInteractions: { enabled: false },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: () => ({
          scope: entra.scope,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: () => true,
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' }] },
    scopes: ['openid', 'offline_access'],
    ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, Interaction: 600, Session: 3600 },
  })
  provider.on('server_error', (_ctx, error) => console.error(error))
  const handle = provider.callback()
  await listen((req, res) => {
    if (!req.url.startsWith('/interaction/')) return handle(req, res)
    signIn(provider, req, res).catch((error) => res.writeHead(500).end(error.stack))
  }, port)
}

/** Whoever comes is signed in and has consented: the one page that a user would see, without the page. */
async function signIn(provider, req, res) {
  const { params } = await provider.interactionDetails(req, res)
  const accountId = `user-${Math.random()}`
  const grant = new provider.Grant({ accountId, clientId: params.client_id })
  grant.addOIDCScope('openid')
  grant.addResourceScope(params.resource, params.scope)
  const result = { login: { accountId }, consent: { grantId: await grant.save() } }
  await provider.interactionFinished(req, res, result)
}
