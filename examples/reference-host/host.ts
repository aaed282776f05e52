/** The reference host: an MCP server with notes, and the four middlewares in front of it. */
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import cors from 'cors'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import {
  authOf,
  clientSecret,
  entraAuth,
  entraScopes,
  type Logger,
  oauthRoutes,
  oboToken,
  requireBearer,
  type Storage,
  scopeGuard,
} from 'mcp-entra'
import { notebook } from './notebook.js'
import { notesServer } from './notes-server.js'
import { ownOrigin } from './own-origin.js'
import { type RateLimits, rateLimits } from './rate-limits.js'
import type { Settings } from './settings.js'

/** Where logins and reports go, and what stands around the middlewares. */
export interface HostOptions {
  readonly storage?: Storage
  readonly logger?: Logger
  /**
   * Optional scopes that every client is told to ask for at its first login (default: none). With
   * `['notes.write']` clients that cannot step up may add notes too, and every user is asked for it.
   */
  readonly offered?: readonly string[]
  /** Of the OAuth endpoints; `false`: none (default: `defaultLimits`, in memory). */
  readonly limits?: RateLimits | false
  /** Express's `trust proxy` (default: proxies on private networks). */
  readonly trustProxy?: string | readonly string[] | number | boolean
  /** Origins of web pages that may use `/mcp`, besides ours and those on loopback. */
  readonly allowedOrigins?: readonly string[]
}

/**
 * Whose `X-Forwarded-For` is believed: a load balancer, ingress or sidecar has an address of these kinds. Without
 * `trust proxy` all users behind one would share its limits; with `true` every sender could name himself an address
 * of his choice. Is your proxy on a public address, list that address instead.
 *
 * @see https://expressjs.com/en/guide/behind-proxies.html
 */
const privateNetworks = ['loopback', 'linklocal', 'uniquelocal', '100.64.0.0/10']

const graphScopes = ['https://graph.microsoft.com/User.Read']

/** An Express application, ready to listen. */
export function createHost(
  settings: Settings,
  {
    storage,
    logger,
    offered = [],
    limits,
    trustProxy = privateNetworks,
    allowedOrigins,
  }: HostOptions = {},
): Express {
  const auth = entraAuth({
    baseUrl: settings.baseUrl,
    tenantId: settings.tenantId,
    clientId: settings.clientId,
    credential: clientSecret(settings.clientSecret),
    authorityHost: settings.authorityHost,
    resourceName: 'Notes',
    scopes: entraScopes({
      clientId: settings.clientId,
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
    keys: settings.keys,
    ...(settings.refreshGrace !== undefined && {
      lifetimes: { refreshGrace: settings.refreshGrace },
    }),
    ...(storage && { storage }),
    ...(logger && { logger }),
  })
  const notes = notebook()
  const app = express().disable('x-powered-by').set('trust proxy', trustProxy)

  app.get('/healthz', (_req, res) => void res.json({ status: 'ok' }))
  if (limits !== false) {
    const basePath = new URL(settings.baseUrl).pathname.replace(/\/$/, '')
    for (const [path, limiter] of rateLimits(basePath, limits)) app.use(path, limiter)
  }
  app.use(oauthRoutes(auth))
  app.use(['/mcp', '/api'], cors({ exposedHeaders: ['WWW-Authenticate', 'Mcp-Session-Id'] }))

  app.all(
    '/mcp',
    ownOrigin(settings.baseUrl, allowedOrigins),
    requireBearer(auth),
    scopeGuard({ tools: { list_notes: 'notes.read', add_note: 'notes.write' } }),
    oboToken(auth, { graph: { scopes: graphScopes, tools: ['my_profile'] } }),
    mcpHandler(notes, settings.graphUrl),
  )

  app.get('/api/notes', requireBearer(auth), scopeGuard('notes.read'), (req, res) => {
    res.json({ notes: notes.of(authOf(req)) })
  })
  app.post(
    '/api/notes',
    requireBearer(auth),
    scopeGuard('notes.write'),
    express.json(),
    (req, res) => {
      const { text } = (req.body ?? {}) as { text?: unknown }
      if (typeof text !== 'string' || text === '') {
        res
          .status(400)
          .json({ error: 'invalid_request', error_description: 'Send JSON: {"text": "…"}' })
        return
      }
      res.status(201).json({ notes: notes.add(authOf(req), text) })
    },
  )

  app.use(answerErrors(logger))
  return app
}

/** Stateless: a server and a transport for each request, and no stream to open or session to end. */
function mcpHandler(notes: ReturnType<typeof notebook>, graphUrl: string): RequestHandler {
  return async (req, res) => {
    if (req.method !== 'POST') {
      const error = { code: -32000, message: 'Method not allowed: this server is stateless.' }
      res.status(405).set('Allow', 'POST').json({ jsonrpc: '2.0', error, id: null })
      return
    }
    const server = notesServer(notes, graphUrl)
    const transport = new StreamableHTTPServerTransport({})
    res.on('close', () => {
      void transport.close()
      void server.close()
    })
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  }
}

/** The last word on errors: a status and an error code, never a stack. */
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
