/** A tools-only server on SDK v2 behind our middlewares: it speaks 2026-07-28, and has the tools the runner calls. */
import { toNodeHandler } from '@modelcontextprotocol/node'
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server'
import express from 'express'
import { z } from 'zod'
import { ownOrigin } from '../../build/examples/reference-host/own-origin.js'
import {
  clientSecret,
  entraAuth,
  entraScopes,
  oauthRoutes,
  requireBearer,
  scopeGuard,
} from '../../dist/index.js'

/** The smallest PNG and WAV there are. */
const png =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const wav = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA=='

const text = { type: 'text', text: 'This is a simple text response for testing.' }
const image = { type: 'image', data: png, mimeType: 'image/png' }
const audio = { type: 'audio', data: wav, mimeType: 'audio/wav' }
const embedded = {
  type: 'resource',
  resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'Embedded.' },
}

/** An Express application, ready to listen. */
export function createSdkV2Host({
  baseUrl,
  tenantId,
  clientId,
  clientSecret: secret,
  authorityHost,
  keys,
}) {
  const auth = entraAuth({
    baseUrl,
    tenantId,
    clientId,
    credential: clientSecret(secret),
    authorityHost,
    keys,
    scopes: entraScopes({
      clientId,
      required: ['notes.read'],
      optional: ['notes.write'],
      implies: { 'notes.write': ['notes.read'] },
    }),
    logger: { info() {}, warn() {}, error: console.error },
  })
  const handler = toNodeHandler(createMcpHandler(conformanceServer))
  const app = express()
  app.use(oauthRoutes(auth))
  app.all(
    '/mcp',
    ownOrigin(baseUrl),
    requireBearer(auth),
    scopeGuard({ tools: { test_image_content: 'notes.write' } }),
    (req, res) => handler(req, res, req.body),
  )
  return app
}

function conformanceServer() {
  const server = new McpServer({ name: 'conformance', version: '1.0.0' })
  const tool = (name, ...content) =>
    server.registerTool(name, { description: name }, () => ({ content }))
  tool('test_simple_text', text)
  tool('test_image_content', image)
  tool('test_audio_content', audio)
  tool('test_embedded_resource', embedded)
  tool('test_multiple_content_types', text, image, embedded)
  server.registerTool('test_error_handling', { description: 'Fails' }, () => {
    throw new Error('This tool intentionally returns an error for testing')
  })
  server.registerTool(
    'test_tool_with_progress',
    { description: 'Reports progress' },
    reportProgress,
  )
  server.registerTool(
    'add_numbers',
    { description: 'Adds', inputSchema: z.object({ a: z.number(), b: z.number() }) },
    ({ a, b }) => ({ content: [{ type: 'text', text: String(a + b) }] }),
  )
  return server
}

async function reportProgress({ mcpReq }) {
  const progressToken = mcpReq._meta?.progressToken
  for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
    await mcpReq.notify({
      method: 'notifications/progress',
      params: { progressToken, progress, total: 100 },
    })
  }
  return { content: [text] }
}
