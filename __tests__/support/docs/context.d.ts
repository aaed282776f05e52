/**
 * What a block of code may use without making it, when it is marked as a `fragment`. A block without that word is a
 * whole program.
 */

import type { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import type { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import type { Express, RequestHandler } from 'express'
import type * as library from 'mcp-entra'
import type { RedisClientType } from 'redis'

declare global {
  /** Of an agent identity, and of the blueprint it was made from. */
  const agentId: string
  const blueprintId: string
  const app: Express
  /** Of the application. */
  const audit: { write(entry: object): void }
  const auth: library.EntraAuth
  const authInfo: library.AuthInfo
  /** A claims challenge, as JSON. */
  const challengeFromGraph: string
  /** A connected client of the package `redis`. */
  const client: RedisClientType
  const clientId: string
  const extra: { readonly authInfo?: library.AuthInfoLike }
  const handler: RequestHandler
  const keys: readonly string[]
  const options: library.EntraAuthOptions
  const secret: string
  /** A call of a downstream API, made by an Azure client. */
  const readMail: (
    credential: library.DownstreamCredential,
  ) => Promise<{ content: { type: 'text'; text: string }[] }>
  const server: McpServer
  const tenantId: string
  const transport: StreamableHTTPServerTransport
  const url: string
  /** Of `@azure/storage-blob`. */
  class BlobServiceClient {
    constructor(
      url: string,
      credential: {
        getToken(
          scopes: string | string[],
          options?: { claims?: string; tenantId?: string },
        ): Promise<{ token: string; expiresOnTimestamp: number } | null>
      },
    )
  }
}
