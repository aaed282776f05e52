/** The OAuth proxy of the npm package `fastmcp`, behind its own server. */
import { randomBytes } from 'node:crypto'
import { FastMCP, OAuthProvider } from 'fastmcp'

/** @param {{ consent: boolean }} options beside the usual ones */
export async function startProxy({ port, baseUrl, entra, consent }) {
  const auth = new OAuthProvider({
    allowedRedirectUriPatterns: ['http://127.0.0.1:*'],
    authorizationEndpoint: entra.authorizationEndpoint,
    baseUrl,
    clientId: entra.clientId,
    clientSecret: 'x'.repeat(40),
    consentRequired: consent,
    jwtSigningKey: randomBytes(32).toString('hex'),
    scopes: [`api://${entra.clientId}/${entra.scope}`, 'openid', 'profile', 'offline_access'],
    tokenEndpoint: entra.tokenEndpoint,
  })
  const logger = { debug() {}, error: console.error, info() {}, log() {}, warn() {} }
  const server = new FastMCP({ name: 'bench', version: '1.0.0', auth, logger })
  await server.start({ transportType: 'httpStream', httpStream: { port, host: '127.0.0.1' } })
}
