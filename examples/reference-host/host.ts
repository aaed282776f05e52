/** The reference host: an MCP server with notes, the four middlewares in front of it, and the account pages beside it. */
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import cors from 'cors'
import express, {
  type ErrorRequestHandler,
  type Express,
  type RequestHandler,
  type Router,
} from 'express'
import {
  authOf,
  clientSecret,
  type EntraAuth,
  entraAuth,
  entraScopes,
  type Logger,
  type Middleware,
  mayCall,
  oauthRoutes,
  oboToken,
  requireBearer,
  type Storage,
  scopeGuard,
} from 'mcp-entra'
import { accountRoutes, type SessionStore } from 'mcp-entra/account'
import { adminApi } from './admin-api.js'
import { type Notebook, notebook } from './notebook.js'
import { notesServer } from './notes-server.js'
import { ownOrigin } from './own-origin.js'
import { type RateLimits, rateLimits } from './rate-limits.js'
import type { Settings } from './settings.js'

/** Options of {@link createHost}. */
export interface HostOptions {
  readonly storage?: Storage
  /** Of the browser sessions at the account pages (default: the storage). */
  readonly sessionStore?: SessionStore
  readonly logger?: Logger
  /**
   * Optional scopes that every client is told to request at its first login (default: none). With
   * `['notes.write']` clients that cannot step up may add notes too, and every user is asked for it.
   */
  readonly offered?: readonly string[]
  /** Of the OAuth endpoints; `false` for none (default: `defaultLimits`, counted in memory). */
  readonly limits?: RateLimits | false
  /** Express's `trust proxy` (default: proxies on private networks). */
  readonly trustProxy?: string | readonly string[] | number | boolean
  /** Origins of web pages that may use `/mcp`, besides our own and those on loopback. */
  readonly allowedOrigins?: readonly string[]
}

/** Makes an Express application, ready to listen. */
export function createHost(settings: Settings, options: HostOptions = {}): Express {
  const { limits, logger, trustProxy = privateNetworks, allowedOrigins, sessionStore } = options
  const auth = hostAuth(settings, options)
  const notes = notebook()
  const guard = toolGuard(auth)
  const app = express().disable('x-powered-by').set('trust proxy', trustProxy)

  app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }))
  if (limits !== false) {
    const basePath = new URL(settings.baseUrl).pathname.replace(/\/$/, '')
    for (const [path, limiter] of rateLimits(basePath, limits)) app.use(path, limiter)
  }
  app.use(oauthRoutes(auth))
  app.use(accountRoutes(auth, sessionStore && { session: { store: sessionStore } }))
  app.use(['/mcp', '/api'], cors({ exposedHeaders: ['WWW-Authenticate', 'Mcp-Session-Id'] }))
  app.all(
    '/mcp',
    ownOrigin(settings.baseUrl, allowedOrigins),
    requireBearer(auth),
    guard,
    oboToken(auth, { graph: { scopes: graphScopes, tools: ['my_profile'] } }),
    mcpHandler(guard, notes, settings.graphUrl),
  )
  app.use('/api/notes', notesApi(auth, notes))
  app.use('/admin', adminApi(auth))
  app.use(answerErrors(logger))
  return app
}

/**
 * Senders whose `X-Forwarded-For` is believed: load balancers, ingresses and sidecars have addresses of these
 * kinds. If none were believed, all users behind a load balancer would share one limit; if all were (`true`), a
 * sender could give itself any address. If your proxy has a public address, list that address instead.
 *
 * @see https://expressjs.com/en/guide/behind-proxies.html
 */
const privateNetworks = ['loopback', 'linklocal', 'uniquelocal', '100.64.0.0/10']

const graphScopes = ['https://graph.microsoft.com/User.Read']

function hostAuth(settings: Settings, { storage, logger, offered = [] }: HostOptions): EntraAuth {
  const { baseUrl, tenantId, clientId, authorityHost, keys, refreshGrace } = settings
  const { consent, rememberUnverified, identityAssertions, dpop } = settings
  return entraAuth({
    baseUrl,
    tenantId,
    clientId,
    credential: clientSecret(settings.clientSecret),
    authorityHost,
    resourceName: 'Notes',
    scopes: entraScopes({
      clientId,
      required: ['notes.read'],
      optional: ['notes.write'],
      offered,
      implies: { 'notes.write': ['notes.read'] },
      additional: graphScopes,
      descriptions: {
        'notes.read': 'Read your notes',
        'notes.write': 'Add notes for you',
        'https://graph.microsoft.com/User.Read': 'Your Microsoft profile',
      },
    }),
    keys,
    consent,
    rememberUnverified,
    identityAssertions,
    dpop,
    ...(refreshGrace !== undefined && { lifetimes: { refreshGrace } }),
    ...(storage && { storage }),
    ...(logger && { logger }),
  })
}

/** What each tool needs. A tool that is not named here is closed to everybody. */
function toolGuard(auth: EntraAuth): Middleware {
  return scopeGuard(auth, {
    tools: {
      whoami: [],
      list_notes: 'notes.read',
      add_note: 'notes.write',
      // Who reads the profile signed in to do so: `oboToken` exchanges their token, or says why it cannot.
      my_profile: [],
      audit: { roles: 'Mcp.Admin' },
    },
    otherTools: 'deny',
  })
}

/** The notes for programs that do not speak MCP. */
function notesApi(auth: EntraAuth, notes: Notebook): Router {
  const router = express.Router()
  router.get('/', requireBearer(auth), scopeGuard(auth, 'notes.read'), (req, res) => {
    res.json({ notes: notes.of(authOf(req)) })
  })
  router.post(
    '/',
    requireBearer(auth),
    scopeGuard(auth, 'notes.write'),
    express.json(),
    (req, res) => {
      const { text } = (req.body ?? {}) as { text?: unknown }
      if (typeof text === 'string' && text !== '') {
        res.status(201).json({ notes: notes.add(authOf(req), text) })
      } else {
        const description = 'Send JSON: {"text": "…"}'
        res.status(400).json({ error: 'invalid_request', error_description: description })
      }
    },
  )
  return router
}

/** Stateless: each request has a server and a transport of its own. There are no streams to open and no sessions. */
function mcpHandler(guard: Middleware, notes: Notebook, graphUrl: string): RequestHandler {
  return async (req, res) => {
    if (req.method !== 'POST') {
      const error = { code: -32000, message: 'Method not allowed: this server is stateless.' }
      res.status(405).set('Allow', 'POST').json({ jsonrpc: '2.0', error, id: null })
      return
    }
    const shows = (tool: string) => mayCall(guard, authOf(req), tool) !== 'no'
    const server = notesServer({ notes, graphUrl, shows })
    const transport = new StreamableHTTPServerTransport({})
    res.on('close', () => {
      void transport.close()
      void server.close()
    })
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  }
}

/** Answers all other errors with a status and an error code, never with a stack. */
function answerErrors(logger: Logger | undefined): ErrorRequestHandler {
  return (error: { status?: number; message?: string }, _req, res, next) => {
    if (res.headersSent) return next(error)
    const status = error.status !== undefined && error.status < 500 ? error.status : 500
    if (status === 500) {
      if (logger) logger.error({ error: String(error.message) }, 'request failed')
      else console.error(error)
    }
    const code = status === 500 ? 'server_error' : 'invalid_request'
    res.status(status).json({ error: code, error_description: 'The request could not be handled.' })
  }
}
