/** A host with a route for each downstream API, which answers with the exchanged token itself. */
import type { Express } from 'express'
import {
  authOf,
  downstreamToken,
  type EntraAuth,
  type EntraAuthOptions,
  entraScopes,
  oauthRoutes,
  oboToken,
  requireBearer,
  resourceMetadata,
} from 'mcp-entra'
import { type Logs, userRead } from './auth-options.js'
import { startGate } from './gate.js'
import type { Entra, Listening } from './host.js'

export { userRead } from './auth-options.js'
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

export interface DownstreamHost extends Listening {
  readonly auth: EntraAuth
  readonly logs: Logs
  /** Moves the clocks of host and Entra. */
  advance(seconds: number): void
}

/** Starts it as a gate whose routes are the downstream APIs. */
export async function startDownstreamHost({
  entra,
  downstream = { graph: [userRead] },
  direct = false,
  options = {},
  mount = () => undefined,
}: DownstreamHostOptions): Promise<DownstreamHost> {
  const { clientId } = entra.app
  const { clock, ...gate } = await startGate(entra, {
    options: {
      scopes: entraScopes({ clientId, required: ['notes.read'], optional: ['notes.write'] }),
      ...options,
    },
    without: direct ? ['keys'] : [],
    mount(app, auth) {
      app.use(direct ? resourceMetadata(auth) : oauthRoutes(auth))
      app.get('/api/whoami', requireBearer(auth), (req, res) => void res.json(authOf(req).extra))
      for (const [name, scopes] of Object.entries(downstream)) {
        mountDownstream(app, auth, name, scopes)
      }
      mount(app, auth)
    },
  })
  return {
    ...gate,
    advance(seconds) {
      clock.advance(seconds)
      entra.advance(seconds)
    },
  }
}

function mountDownstream(
  app: Express,
  auth: EntraAuth,
  name: string,
  scopes: readonly string[],
): void {
  const exchange = oboToken(auth, { [name]: { scopes } })
  app.get(`/api/${name}`, requireBearer(auth), exchange, async (req, res) => {
    const caller = authOf(req)
    res.json({ user: caller.extra.user, token: await downstreamToken(caller, name) })
  })
}

export function get(url: string, token: string): Promise<Response> {
  return fetch(url, { headers: { authorization: `Bearer ${token}` } })
}

/** Claims of a token, unverified. */
export function claimsOf(token: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
}
