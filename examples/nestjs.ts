/**
 * NestJS on Express. It needs `experimentalDecorators` in tsconfig.json, as every Nest application does.
 * `npm run example:one build/examples/nestjs.js`
 */
import 'reflect-metadata'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import {
  All,
  Controller,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  Req,
  Res,
} from '@nestjs/common'
import { NestFactory } from '@nestjs/core'
import type { NestExpressApplication } from '@nestjs/platform-express'
import type { Request, Response } from 'express'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  oauthRoutes,
  requireBearer,
  scopeGuard,
  userOf,
} from 'mcp-entra'

const { PORT = '3000', BASE_URL = `http://localhost:${PORT}` } = process.env
const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = process.env
const { AZURE_AUTHORITY_HOST = 'https://login.microsoftonline.com' } = process.env
const { MCP_ENTRA_KEYS = '' } = process.env // openssl rand -base64 32

const auth = entraAuth({
  baseUrl: BASE_URL,
  tenantId: AZURE_TENANT_ID,
  clientId: AZURE_CLIENT_ID,
  credential: clientSecret(AZURE_CLIENT_SECRET),
  authorityHost: AZURE_AUTHORITY_HOST,
  scopes: entraScopes({
    clientId: AZURE_CLIENT_ID,
    required: ['notes.read'],
    optional: ['notes.write'],
  }),
  keys: MCP_ENTRA_KEYS.split(','),
})

/** A fresh server for each request: it keeps no sessions. */
function mcpServer(): McpServer {
  const server = new McpServer({ name: 'nestjs', version: '1.0.0' })
  server.registerTool('whoami', { description: 'Who you are' }, ({ authInfo }) => ({
    content: [{ type: 'text', text: JSON.stringify(userOf(authInfo)) }],
  }))
  server.registerTool('add_note', { description: 'Writes a note' }, () => ({
    content: [{ type: 'text', text: '"written"' }],
  }))
  return server
}

@Controller('mcp')
class McpController {
  @All()
  async handle(@Req() req: Request, @Res() res: Response): Promise<void> {
    const server = mcpServer()
    res.on('close', () => server.close())
    const transport = new StreamableHTTPServerTransport({})
    await server.connect(transport)
    await transport.handleRequest(req, res, req.body)
  }
}

@Module({ controllers: [McpController] })
class AppModule implements NestModule {
  /** In Nest a guard only says yes or no. These answer with a challenge, so they are middleware. */
  configure(consumer: MiddlewareConsumer): void {
    consumer
      .apply(requireBearer(auth), scopeGuard(auth, { tools: { add_note: 'notes.write' } }))
      .forRoutes(McpController)
  }
}

const app = await NestFactory.create<NestExpressApplication>(AppModule, {
  logger: ['error', 'warn'],
})
// Before Nest's own parsers, and without `setGlobalPrefix`, which does not apply to it: it knows its paths from `baseUrl`.
app.use(oauthRoutes(auth))
await app.listen(Number(PORT))
console.log(`MCP server: ${BASE_URL}/mcp`)
