/** Pages about errors: which words each error gets. */
import { describe, expect, it } from '@jest/globals'
import { OAuthError, unavailable } from '../../lib/oauth/errors.js'
import { pageLooks } from '../../lib/pages/look.js'
import { problemPage, returnPage } from '../../lib/pages/problem-page.js'

const look = pageLooks().forReader({ headers: {} } as never)
const text = (html: string) =>
  html
    .replace(/<style>[\s\S]*?<\/style>/, '')
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')

const outage = unavailable('The store cannot be reached. Try again shortly.', undefined)

describe('a page about an error', () => {
  it.each<[string, OAuthError, string]>([
    [
      'that its user can mend',
      new OAuthError('access_denied', 'Described.', { situation: 'pageExpired' }),
      'This sign-in cannot go on This page has expired, or it was opened in another browser. Start again from the application. When you',
    ],
    [
      'of the application',
      new OAuthError('invalid_request', 'Described.'),
      'This sign-in cannot go on The application sent a request that this server cannot answer. In detail: Described. When you',
    ],
    [
      'that Microsoft decided',
      new OAuthError('consent_required', 'Described.'),
      'This sign-in cannot go on The sign-in was refused, by Microsoft or by this server. In detail: Described. When you',
    ],
    [
      'of the server',
      outage,
      'Something is not working This server cannot answer right now. Try again in a few minutes. In detail: The store cannot be reached. Try again shortly. When you',
    ],
  ])('%s says so', (_what, error, expected) => {
    expect(text(problemPage(look, error, 'AAAA-BBBB').html)).toContain(expected)
  })

  it('escapes the description', () => {
    const error = new OAuthError('invalid_request', '<script>')
    expect(problemPage(look, error, 'AAAA-BBBB').html).toContain('&lt;script&gt;')
  })

  it('with a way back names the host, the code and the reference, and repeats no description', () => {
    const shown = text(returnPage(look, outage, 'https://client.example/cb?a=1', 'AAAA-BBBB').html)
    expect(shown).toContain('Something is not working This server cannot answer right now.')
    expect(shown).toContain('( temporarily_unavailable )')
    expect(shown).toContain(' client.example ')
    expect(shown).toContain('give this reference: AAAA-BBBB')
    expect(shown).not.toContain('store')
  })
})
