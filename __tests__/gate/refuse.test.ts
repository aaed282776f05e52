import { describe, expect, it } from '@jest/globals'
import { refusalFor, reportRefusal, sendRefusal } from '../../lib/gate/refuse.js'
import { OAuthError, unavailable } from '../../lib/oauth/errors.js'
import { send, serve } from '../support/http-server.js'

/** What goes over the wire for a refusal. */
async function answerTo(refusal: Parameters<typeof sendRefusal>[1]) {
  let answer: Awaited<ReturnType<typeof send>> | undefined
  await serve(
    (_req, res) => sendRefusal(res, refusal),
    async (url) => {
      answer = await send(url, {})
    },
  )
  return answer
}

describe('a refusal', () => {
  it('is an error as JSON with its challenge, for any origin to read and nobody to store', async () => {
    const error = new OAuthError('invalid_token', 'The access token has expired.')
    const answer = await answerTo(refusalFor(error, 'Bearer error="invalid_token"'))
    expect(answer).toMatchObject({
      status: 401,
      headers: {
        'www-authenticate': 'Bearer error="invalid_token"',
        'access-control-allow-origin': '*',
        'access-control-expose-headers': 'WWW-Authenticate',
        'cache-control': 'no-store',
        'content-type': 'application/json',
      },
    })
    expect(JSON.parse(answer?.text ?? '')).toEqual(error.toBody())
  })

  it('without a body is empty, and says so', async () => {
    const answer = await answerTo({ status: 401, challenge: 'Bearer' })
    expect(answer).toMatchObject({ status: 401, text: '' })
    expect(answer?.headers).toMatchObject({ 'content-length': '0', 'www-authenticate': 'Bearer' })
  })

  it('of an outage says when to come back, and challenges nobody', async () => {
    const answer = await answerTo(refusalFor(unavailable('The store is away.', 'down', 7)))
    expect(answer?.status).toBe(503)
    expect(answer?.headers['retry-after']).toBe('7')
    expect(answer?.headers).not.toHaveProperty('www-authenticate')
  })
})

it('a 4xx is a refusal for the operator, a 5xx a failure with its cause', () => {
  const events: unknown[] = []
  const report = (name: string, event: object) => void events.push([name, event])
  reportRefusal(report, new OAuthError('invalid_token', 'Bad.', { cause: 'not told' }))
  reportRefusal(report, unavailable('The store is away.', 'down'))
  expect(events).toEqual([
    ['refusal', { endpoint: 'gate', reason: 'invalid_token', detail: 'Bad.' }],
    [
      'failure',
      {
        endpoint: 'gate',
        reason: 'temporarily_unavailable',
        detail: 'The store is away.',
        cause: 'down',
      },
    ],
  ])
})
