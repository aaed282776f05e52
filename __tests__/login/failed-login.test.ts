import { describe, expect, it } from '@jest/globals'
import { EntraError, UpstreamOutage } from '../../lib/entra/errors.js'
import { concludeFailedLogin, isLoginRefusal, refuseByEntra } from '../../lib/login/failed-login.js'
import { OAuthError } from '../../lib/oauth/errors.js'

/** A report that keeps what it hears. */
function listener() {
  const events: unknown[] = []
  return { events, report: (name: string, event: object) => void events.push([name, event]) }
}

describe('an error that Entra sends instead of a code', () => {
  it.each([
    ['access_denied', 'access_denied', 'refusal'],
    ['interaction_required', 'interaction_required', 'refusal'],
    ['temporarily_unavailable', 'temporarily_unavailable', 'failure'],
    ['invalid_request', 'server_error', 'failure'],
    ['<script>', 'server_error', 'failure'],
  ])('%s is %s for the client, and reported without its text', (error, code, event) => {
    const { events, report } = listener()
    const refusal = refuseByEntra(
      report,
      error,
      'AADSTS65004: Ada Lovelace declined. AADSTS50011',
      {},
    )
    expect(refusal.code).toBe(code)
    expect(refusal.description).not.toMatch(/Ada|AADSTS/)
    expect(events).toEqual([
      [
        event,
        {
          endpoint: 'callback',
          reason: 'entra_error',
          error: code,
          codes: [65004, 50011],
          origin: 'stranger',
        },
      ],
    ])
  })
})

describe('the end of a failed login', () => {
  it('shows an outage of Entra to the client, and all of it to the operator', () => {
    const { events, report } = listener()
    const outage = new UpstreamOutage('no answer within 8 s', { status: 504 })
    expect(concludeFailedLogin(report, outage, {}, false).code).toBe('temporarily_unavailable')
    expect(events).toEqual([['failure', expect.objectContaining({ reason: 'unavailable' })]])
  })

  it('is a page for a code that was redeemed before: the first answer is on its way', () => {
    const { report } = listener()
    const error = new EntraError('invalid_grant', 'Entra refused', { codes: [54005] })
    expect(() => concludeFailedLogin(report, error, {}, false)).toThrow(
      'This sign-in has been completed already.',
    )
  })

  it("calls a made-up code a stranger's doing", () => {
    const { events, report } = listener()
    const error = new EntraError('misconfigured', 'Entra refused', { codes: [9002313] })
    concludeFailedLogin(report, error, {}, false)
    expect(events).toEqual([['failure', expect.objectContaining({ origin: 'stranger' })]])
  })

  it('reports a failure once, though the error from Entra was reported before', () => {
    const { events, report } = listener()
    const error = new OAuthError('server_error', 'Microsoft Entra did not complete the sign-in.')
    expect(concludeFailedLogin(report, error, {}, true)).toBe(error)
    expect(events).toEqual([])
    concludeFailedLogin(report, error, {}, false)
    expect(events).toHaveLength(1)
  })

  it('tells the client nothing of an error that nobody foresaw', () => {
    const { events, report } = listener()
    const error = new Error('secret detail')
    const outcome = concludeFailedLogin(report, error, {}, false)
    expect(outcome.toBody()).toEqual({
      error: 'server_error',
      error_description: 'The sign-in could not be completed. Try again.',
    })
    expect(events).toEqual([['failure', { endpoint: 'callback', reason: 'unexpected', error }]])
  })
})

it.each([
  ['access_denied', true],
  ['consent_required', true],
  ['temporarily_unavailable', false],
  ['server_error', false],
] as const)('%s is a refusal of the login: %s', (code, refusal) => {
  expect(isLoginRefusal(new OAuthError(code, 'x'))).toBe(refusal)
})
