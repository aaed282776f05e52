/** A refusal on a page: what the operator hears of it, and what the user sees. */
import { describe, expect, it } from '@jest/globals'
import type { EventFacts } from '../../lib/http/event-facts.js'
import type { Report } from '../../lib/http/report.js'
import { OAuthError, unavailable } from '../../lib/oauth/errors.js'
import { pageLooks } from '../../lib/pages/look.js'
import { sendRefusalPage, siteOf } from '../../lib/routes/refusal-page.js'
import { send, serve } from '../support/http-server.js'

const scopes = ['notes.read']
const facts = { scopes, reference: expect.stringMatching(/^.{4}-.{4}$/) }

async function refuse(error: OAuthError, target?: string) {
  const events: { readonly facts: EventFacts | undefined; readonly [field: string]: unknown }[] = []
  const report: Report = (name, event, facts) => void events.push({ name, ...event, facts })
  const answer = await serve(
    (req, res) => {
      const look = pageLooks().forReader(req)
      sendRefusalPage({ report }, res, look, {
        endpoint: 'callback',
        error,
        target,
        facts: { scopes },
      })
    },
    (url) => send(url, {}),
  )
  return { answer, events }
}

describe('a refusal on a page', () => {
  it('is reported without its cause, under the reference that the page shows', async () => {
    const error = new OAuthError('access_denied', 'No.', { cause: 'secret' })
    const { answer, events } = await refuse(error, 'https://client.example/')
    expect(answer.status).toBe(403)
    expect(events).toEqual([
      {
        name: 'refusal',
        endpoint: 'callback',
        reason: 'access_denied',
        detail: 'No.',
        facts,
      },
    ])
    expect(answer.text).toContain(`<code>${events[0]?.facts?.reference}</code>`)
    expect(answer.text).toContain('<a href="https://client.example/"')
  })

  it('that is an outage is a failure with its cause, and says when to come back', async () => {
    const { answer, events } = await refuse(unavailable('Away.', 'ECONNREFUSED', 7))
    expect([answer.status, answer.headers['retry-after']]).toEqual([503, '7'])
    expect(events).toEqual([
      {
        name: 'failure',
        endpoint: 'callback',
        reason: 'temporarily_unavailable',
        detail: 'Away.',
        cause: 'ECONNREFUSED',
        facts,
      },
    ])
    expect(answer.text).not.toMatch(/ECONNREFUSED|<a /)
  })
})

describe('the site of an application', () => {
  it.each([
    ['https://client.example:8443/cb?a=1', 'https://client.example:8443/'],
    ['http://127.0.0.1:33418/callback', undefined],
    ['https://localhost/callback', undefined],
    ['cursor://x/cb', undefined],
  ])('of %s is %s', (redirectUri, site) => {
    expect(siteOf(redirectUri)).toBe(site)
  })
})
