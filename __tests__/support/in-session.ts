/** A client that can show its user a URL, by hand: what it declares, what it is told, and how its user goes there. */
import { expect } from '@jest/globals'
import type { Express } from 'express'
import { type EntraAuth, oauthRoutes, oboToken, requireBearer } from 'mcp-entra'
import { userRead } from './auth-options.js'
import { post, type TestGate } from './gate.js'

/** The server: `my_profile` needs Graph, and answers with what it was called with. */
export function mountProfile(app: Express, auth: EntraAuth): void {
  app.use(oauthRoutes(auth))
  mountProfileTool(app, auth)
}

/** The server with a tool for each of these APIs: it answers like `my_profile`. */
export function mountTools(app: Express, auth: EntraAuth, apis: Record<string, string>): void {
  const named = Object.entries(apis).map(([tool, scope]) => [
    tool,
    { scopes: [scope], tools: [tool] },
  ])
  app.use(oauthRoutes(auth))
  app.all('/mcp', requireBearer(auth), oboToken(auth, Object.fromEntries(named)), (req, res) => {
    const { id, params } = req.body as { id: unknown; params: unknown }
    res.json({ jsonrpc: '2.0', id, result: { called: params } })
  })
}

/** The same without the proxy. */
export function mountProfileTool(app: Express, auth: EntraAuth): void {
  app.all(
    '/mcp',
    requireBearer(auth),
    oboToken(auth, { graph: { scopes: [userRead], tools: ['my_profile'] } }),
    (req, res) => {
      const { id, params } = req.body as { id: unknown; params: unknown }
      res.json({ jsonrpc: '2.0', id, result: { called: params } })
    },
  )
}

export const canShowUrls = { elicitation: { url: {} } }

/** Connects as a client of 2025-11-25 does. */
export async function initialize(
  url: string,
  token: string,
  capabilities: object = canShowUrls,
): Promise<void> {
  const params = { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'c' } }
  const message = { jsonrpc: '2.0', id: 0, method: 'initialize', params }
  expect((await post(`${url}/mcp`, token, message)).status).toBe(200)
}

/** Calls the tool, with further members of `params`. */
export function callProfile(url: string, token: string, more: object = {}): Promise<Response> {
  return callTool(url, token, 'my_profile', more)
}

export function callTool(
  url: string,
  token: string,
  name: string,
  more: object = {},
): Promise<Response> {
  const params = { name, arguments: {}, ...more }
  return post(`${url}/mcp`, token, { jsonrpc: '2.0', id: 7, method: 'tools/call', params })
}

/** The `_meta` of a request of 2026-07-28. */
export function modernMeta(capabilities: object = canShowUrls): object {
  return {
    _meta: {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientCapabilities': capabilities,
    },
  }
}

/** Calls the tool of a client that has declared URLs, and expects to be sent to one. */
export async function askedUrl(
  { url }: Pick<TestGate, 'url'>,
  token: string,
  tool = 'my_profile',
): Promise<string> {
  const response = await callTool(url, token, tool)
  const body = (await response.json()) as {
    error?: { code: number; data: { elicitations: { url: string }[] } }
  }
  expect([response.status, body.error?.code]).toEqual([200, -32042])
  return body.error?.data.elicitations[0]?.url ?? ''
}
