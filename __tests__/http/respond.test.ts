import { readdirSync, readFileSync } from 'node:fs'
import type { RequestListener, ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import {
  closeIfUnread,
  noStore,
  redirect,
  sendJson,
  sendOAuthError,
  sendPage,
  setRetryAfter,
} from '../../lib/http/respond.js'
import { OAuthError, unavailable } from '../../lib/oauth/errors.js'
import { send, serve } from '../support/http-server.js'

/** Every header but those of the connection and the clock. */
async function answerOf(act: (res: ServerResponse) => void) {
  const answer = await serve(
    (_req, res) => act(res),
    (url) => send(url, {}),
  )
  const {
    date: _date,
    connection: _connection,
    'keep-alive': _keepAlive,
    ...headers
  } = answer.headers
  return { status: answer.status, headers, text: answer.text }
}

describe('an answer', () => {
  it('of JSON has its type, its length in bytes and no sniffing', async () => {
    expect(await answerOf((res) => sendJson(res, 201, { name: 'ü' }))).toEqual({
      status: 201,
      text: '{"name":"ü"}',
      headers: {
        'content-type': 'application/json',
        'content-length': '13',
        'x-content-type-options': 'nosniff',
      },
    })
  })

  it('with tokens is stored nowhere (RFC 6749 section 5.1)', async () => {
    const { headers } = await answerOf((res) => {
      noStore(res)
      res.end()
    })
    expect(headers).toMatchObject({ 'cache-control': 'no-store', pragma: 'no-cache' })
  })

  it('of a page can be framed and cached by nobody', async () => {
    const page = {
      html: '<p>ü</p>',
      language: 'de',
      contentSecurityPolicy: "default-src 'none'",
    }
    expect(await answerOf((res) => sendPage(res, 400, page))).toEqual({
      status: 400,
      text: '<p>ü</p>',
      headers: {
        'cache-control': 'no-store',
        pragma: 'no-cache',
        'content-language': 'de',
        'content-security-policy': "default-src 'none'",
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'content-type': 'text/html; charset=utf-8',
        'content-length': '9',
        'x-content-type-options': 'nosniff',
      },
    })
  })

  it.each([302, 303] as const)(
    'of a redirect with %d has no body and leaks no referrer',
    async (status) => {
      expect(await answerOf((res) => redirect(res, status, 'cursor://cb?code=1'))).toEqual({
        status,
        text: '',
        headers: {
          'cache-control': 'no-store',
          pragma: 'no-cache',
          'referrer-policy': 'no-referrer',
          location: 'cursor://cb?code=1',
          'content-length': '0',
        },
      })
    },
  )

  it('of an error is its code and description, and never its cause', async () => {
    const error = new OAuthError('invalid_grant', 'Sign in again.', {
      cause: new Error('AADSTS50173'),
    })
    expect(await answerOf((res) => sendOAuthError(res, error))).toEqual({
      status: 400,
      text: '{"error":"invalid_grant","error_description":"Sign in again."}',
      headers: {
        'cache-control': 'no-store',
        pragma: 'no-cache',
        'content-type': 'application/json',
        'content-length': '62',
        'x-content-type-options': 'nosniff',
      },
    })
  })

  it('of an outage says when to come back', async () => {
    const { status, headers } = await answerOf((res) =>
      sendOAuthError(res, unavailable('Down.', null, 7)),
    )
    expect([status, headers['retry-after']]).toEqual([503, '7'])
  })

  it.each([
    [undefined, undefined],
    [0, '1'],
    [-3, '1'],
    [0.2, '1'],
    [1.2, '2'],
    [60, '60'],
  ])('with a wait of %p seconds says Retry-After: %s', async (seconds, expected) => {
    const options = seconds === undefined ? {} : { retryAfter: seconds }
    const { headers } = await answerOf((res) => {
      setRetryAfter(res, new OAuthError('temporarily_unavailable', 'Down.', options))
      res.end()
    })
    expect(headers['retry-after']).toBe(expected)
  })

  it('gets its Retry-After in one place', () => {
    const lib = fileURLToPath(new URL('../../lib/', import.meta.url))
    const setters = readdirSync(lib, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !path.startsWith('testing'))
      .filter((path) => /setHeader\(\s*'retry-after'/i.test(readFileSync(lib + path, 'utf8')))
    expect(setters).toEqual(['http/respond.ts'])
  })
})

describe('a connection', () => {
  const listener: RequestListener = (req, res) => {
    const answer = () => {
      closeIfUnread(req, res)
      res.end()
    }
    if (req.url === '/unread') answer()
    else req.resume().on('end', answer)
  }
  const connectionOf = (path: string) =>
    serve(listener, async (url) => {
      const { Agent } = await import('node:http')
      const agent = new Agent({ keepAlive: true })
      try {
        const { headers } = await send(`${url}${path}`, { method: 'POST', agent }, [
          'x'.repeat(100),
        ])
        return headers.connection
      } finally {
        agent.destroy()
      }
    })

  it('ends after an answer to a body that nobody reads', async () => {
    expect(await connectionOf('/unread')).toBe('close')
  })

  it('is kept after a body that was read', async () => {
    expect(await connectionOf('/read')).toBe('keep-alive')
  })
})
