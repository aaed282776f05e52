/** `mcp-entra try`: an emulated Entra and Graph, and a notes server in front of them. On loopback, until Ctrl-C. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { clientSecret } from '../../entra/credentials.js'
import { entraScopes } from '../../entra/scopes.js'
import { entraAuth } from '../../entra-auth.js'
import { type EntraEmulator, startEntra } from '../../testing/entra-emulator.js'
import { exitCodes } from '../exit-codes.js'
import { type Io, oneLine } from '../io.js'
import { UsageError } from '../usage-error.js'
import { graphScopes, notesApp } from './notes-app.js'

export interface TryOptions {
  readonly port: string
  readonly json?: boolean
}

/**
 * @returns after Ctrl-C
 * @throws UsageError for a port that is none; Error when a port is taken
 */
export async function tryOut(options: TryOptions, io: Io): Promise<number> {
  const port = readPort(options.port)
  const interrupted = io.onInterrupt()
  const entra = await startEntra({ port: port === 0 ? 0 : port + 1 }).catch(portError)
  try {
    const server = await listen(port, (url) =>
      notesApp(notesAuth(entra, url, io), entra.graphUrl, (error) =>
        io.err(`${oneLine(String(error))}\n`),
      ),
    )
    try {
      io.out(options.json ? json(entra, server.url) : text(entra, server.url))
      if (!interrupted.aborted) await once(interrupted, 'abort')
    } finally {
      await server.close()
    }
  } finally {
    await entra.close()
  }
  return exitCodes.ok
}

function readPort(given: string): number {
  const port = Number(given)
  if (/^\d{1,5}$/.test(given) && port <= 65_534) return port
  throw new UsageError(
    '--port must be a port number, at most 65534: the emulated Entra takes the next one',
  )
}

function notesAuth(entra: EntraEmulator, baseUrl: string, io: Io) {
  const { clientId, secrets } = entra.app
  const log = (level: string) => (fields: object, message: string) =>
    io.err(`${level} ${message} ${oneLine(JSON.stringify(fields))}\n`)
  return entraAuth({
    baseUrl,
    tenantId: entra.tenant.id,
    clientId,
    credential: clientSecret(secrets[0] ?? ''),
    authorityHost: entra.url,
    resourceName: 'Notes (try)',
    scopes: entraScopes({
      clientId,
      required: ['notes.read'],
      optional: ['notes.write'],
      implies: { 'notes.write': ['notes.read'] },
      additional: graphScopes,
      descriptions: {
        'notes.read': 'Read your notes',
        'notes.write': 'Add notes for you',
        [graphScopes[0] ?? '']: 'Your Microsoft profile',
      },
    }),
    keys: [randomBytes(32).toString('base64')],
    logger: { info: () => undefined, warn: log('warning'), error: log('error') },
  })
}

interface Listening {
  readonly url: string
  close(): Promise<void>
}

async function listen(port: number, app: (url: string) => RequestListener): Promise<Listening> {
  const server = createServer()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening').catch(portError)
  const address = server.address()
  const url = `http://localhost:${typeof address === 'object' && address !== null ? address.port : port}`
  server.on('request', app(url))
  return {
    url,
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function portError(error: unknown): never {
  const { code, port } = error as NodeJS.ErrnoException & { port?: number }
  if (code !== 'EADDRINUSE') throw error
  throw new Error(`port ${port} is taken: choose another one with --port`, { cause: error })
}

function json(entra: EntraEmulator, url: string): string {
  return `${JSON.stringify({ mcp: `${url}/mcp`, entra: entra.url, graph: entra.graphUrl, users: usersOf(entra), environment: environment(entra) })}\n`
}

function text(entra: EntraEmulator, url: string): string {
  const lines = Object.entries(environment(entra)).map(([name, value]) => `  ${name}=${value}`)
  return `MCP server:      ${url}/mcp   (whoami, list_notes, add_note, my_profile)
Emulated Entra:  ${entra.url}
Emulated Graph:  ${entra.graphUrl}
Sign in as:      ${usersOf(entra).join(', ')} (no password)

MCP Inspector:   npx @modelcontextprotocol/inspector, then connect to ${url}/mcp (Streamable HTTP)
Claude Code:     claude mcp add --transport http notes ${url}/mcp

A server of your own, on any port of localhost, uses the same Entra with:
${lines.join('\n')}

Nothing here is real, and nothing is kept. Ctrl-C ends it.
`
}

function usersOf({ users }: EntraEmulator): readonly string[] {
  return users.map(({ username }) => username)
}

/** What a server needs to use the emulated Entra. The secret is the emulator's own, the same everywhere. */
function environment({
  tenant,
  app,
  url,
  graphUrl,
}: EntraEmulator): Readonly<Record<string, string>> {
  return {
    AZURE_TENANT_ID: tenant.id,
    AZURE_CLIENT_ID: app.clientId,
    AZURE_CLIENT_SECRET: app.secrets[0] ?? '',
    AZURE_AUTHORITY_HOST: url,
    GRAPH_URL: graphUrl,
  }
}
