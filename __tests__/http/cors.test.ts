import type { RequestListener, ServerResponse } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import { allowAnyOrigin, answerPreflight, exposeChallenge } from '../../lib/http/cors.js'
import { send, serve } from '../support/http-server.js'

const answerOf = (act: (res: ServerResponse) => void) =>
  serve(
    (_req, res) => {
      act(res)
      res.end()
    },
    (url) => send(url, {}),
  )

describe('CORS', () => {
  it('allows any origin and lets a script read the challenge', async () => {
    const { headers } = await answerOf(allowAnyOrigin)
    expect(headers['access-control-allow-origin']).toBe('*')
    expect(headers['access-control-expose-headers']).toBe('WWW-Authenticate')
    expect(headers['access-control-allow-credentials']).toBeUndefined()
  })

  it("leaves the application's own choice of origin", async () => {
    const { headers } = await answerOf((res) => {
      res.setHeader('Access-Control-Allow-Origin', 'https://app.contoso.com')
      allowAnyOrigin(res)
    })
    expect(headers['access-control-allow-origin']).toBe('https://app.contoso.com')
    expect(headers['access-control-expose-headers']).toBe('WWW-Authenticate')
  })

  it.each([
    ['Mcp-Session-Id', 'Mcp-Session-Id, WWW-Authenticate'],
    ['X-WWW-Authenticate', 'X-WWW-Authenticate, WWW-Authenticate'],
    ['www-authenticate', 'www-authenticate'],
    ['Mcp-Session-Id,WWW-Authenticate , X', 'Mcp-Session-Id,WWW-Authenticate , X'],
    ['*', '*'],
  ])('adds the challenge to the exposed headers %j once', async (before, after) => {
    const { headers } = await answerOf((res) => {
      res.setHeader('Access-Control-Expose-Headers', before)
      exposeChallenge(res)
      exposeChallenge(res)
    })
    expect(headers['access-control-expose-headers']).toBe(after)
  })
})

describe('a preflight', () => {
  const listener: RequestListener = (req, res) => {
    allowAnyOrigin(res)
    answerPreflight(req, res, ['POST', 'OPTIONS'])
  }
  const preflight = (headers: Record<string, string>) =>
    serve(listener, (url) => send(url, { method: 'OPTIONS', headers }))

  it('is answered with 204 and what is allowed', async () => {
    const { status, text, headers } = await preflight({
      origin: 'https://inspector.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type,mcp-protocol-version',
    })
    expect([status, text]).toEqual([204, ''])
    expect(headers).toMatchObject({
      'access-control-allow-origin': '*',
      'access-control-allow-methods': 'POST, OPTIONS',
      'access-control-allow-headers': 'content-type,mcp-protocol-version',
      'access-control-max-age': '86400',
      vary: 'Access-Control-Request-Headers',
    })
  })

  it.each<Record<string, string>>([
    {},
    { 'access-control-request-headers': '' },
    { 'access-control-request-headers': 'a b' },
    { 'access-control-request-headers': 'a;b' },
    { 'access-control-request-headers': 'a,' },
    { 'access-control-request-headers': '*' },
  ])('gets the usual headers when it asks for none or nonsense: %j', async (asked) => {
    const { headers } = await preflight(asked)
    expect(headers['access-control-allow-headers']).toBe(
      'Authorization, Content-Type, DPoP, MCP-Protocol-Version',
    )
  })

  it('is answered fast, however long and malformed the list of headers is', async () => {
    const { status } = await preflight({
      'access-control-request-headers': `${'a ,'.repeat(3000)};`,
    })
    expect(status).toBe(204)
  })
})
