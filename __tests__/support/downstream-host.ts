/** A host with a route for each downstream API, which answers with the exchanged token itself. */
import express, { type Express } from 'express'
import {
  authOf,
  clientSecret,
  downstreamToken,
  type EntraAuth,
  type EntraAuthOptions,
  entraAuth,
  entraScopes,
  memoryStorage,
  oauthRoutes,
  oboToken,
  requireBearer,
  resourceMetadata,
} from 'mcp-entra'
import { type Entra, listen, testKeys } from './host.js'

export const userRead = 'https://graph.microsoft.com/User.Read'
export const mailRead = 'https://graph.microsoft.com/Mail.Read'

export interface DownstreamHostOptions {
  readonly entra: Entra
  /** Scopes by name: each is served at `/api/{name}`. */
  readonly downstream?: Readonly<Record<string, readonly string[]>>
  /** Whether clients get their tokens from Entra themselves. */
  readonly direct?: boolean
  readonly options?: Partial<EntraAuthOptions>
  readonly mount?: (app: Express, auth: EntraAuth) => void
}

export interface DownstreamHost {
  readonly url: string
  readonly auth: EntraAuth
  readonly logs: Record<string, unknown>[]
  /** Moves the clock of host and Entra. @param seconds how far */
  advance(seconds: number): void
  close(): Promise<void>
}

export async function startDownstreamHost({
  entra,
  downstream = { graph: [userRead] },
  direct = false,
  options = {},
  mount = () => undefined,
}: DownstreamHostOptions): Promise<DownstreamHost> {
  const logs: Record<string, unknown>[] = []
  const keep = (fields: object, message: string) => void logs.push({ message, ...fields })
  let ahead = 0
  const now = () => Date.now() + ahead * 1000
  let auth: EntraAuth | undefined
  const host = await listen((url) => {
    entra.addRedirectUri(`${url}/auth/callback`)
    auth = entraAuth({
      baseUrl: url,
      tenantId: entra.tenant.id,
      clientId: entra.app.clientId,
      credential: clientSecret(entra.app.secrets[0] ?? ''),
      authorityHost: entra.url,
      scopes: entraScopes({
        clientId: entra.app.clientId,
        required: ['notes.read'],
        optional: ['notes.write'],
      }),
      ...(direct ? {} : { keys: testKeys }),
      logger: { info: keep, warn: keep, error: keep },
      storage: memoryStorage({ now }),
      now,
      ...options,
    })
    const app = express()
    app.use(direct ? resourceMetadata(auth) : oauthRoutes(auth))
    app.get('/api/whoami', requireBearer(auth), (req, res) => void res.json(authOf(req).extra))
    for (const [name, scopes] of Object.entries(downstream)) {
      app.get(
        `/api/${name}`,
        requireBearer(auth),
        oboToken(auth, { [name]: { scopes } }),
        async (req, res) => {
          const caller = authOf(req)
          res.json({ user: caller.extra.user, token: await downstreamToken(caller, name) })
        },
      )
    }
    mount(app, auth)
    return app
  })
  if (!auth) throw new Error('the host has no auth')
  return {
    url: host.url,
    auth,
    logs,
    advance(seconds) {
      ahead += seconds
      entra.advance(seconds)
    },
    close: host.close,
  }
}

export function get(url: string, token: string): Promise<Response> {
  return fetch(url, { headers: { authorization: `Bearer ${token}` } })
}

/** Claims of a token that nobody has to verify. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}
