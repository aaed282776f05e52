import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { attribute, factsOf } from '../../lib/http/event-facts.js'
import { OAuthError, unavailable } from '../../lib/oauth/errors.js'

const ofAda = { user: { tid: 't', oid: 'ada' }, sid: 'the secret of her login' }

describe('whom an error is about', () => {
  it('is known of a copy that answers as the error would', () => {
    const error = unavailable('The store is away.', new Error('down'), 7)
    const copy = attribute(error, ofAda) as OAuthError
    expect(factsOf(copy)).toEqual(ofAda)
    expect(copy).toBeInstanceOf(OAuthError)
    expect({ ...copy, cause: copy.cause }).toEqual({ ...error, cause: error.cause })
    expect(copy.toBody()).toEqual(error.toBody())
  })

  it('is not mixed up when two callers wait for one error', () => {
    const shared = unavailable('Keys are out of reach.', 'down')
    const [one, two] = ['ada', 'bob'].map(
      (oid) => attribute(shared, { user: { tid: 't', oid } }) as OAuthError,
    )
    expect(factsOf(one as OAuthError).user?.oid).toBe('ada')
    expect(factsOf(two as OAuthError).user?.oid).toBe('bob')
    expect(factsOf(shared)).toEqual({})
  })

  it('adds what comes later, and keeps what was said before', () => {
    const inner = attribute(new OAuthError('access_denied', 'No.'), ofAda)
    const outer = attribute(inner, { client: { id: 'c' }, sid: 'another' }) as OAuthError
    expect(factsOf(outer)).toEqual({ ...ofAda, client: { id: 'c' } })
  })

  it('is in nothing that prints the error', () => {
    const error = attribute(new OAuthError('access_denied', 'No.'), ofAda)
    const printed = inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error)
    expect(printed).not.toContain(ofAda.sid)
  })

  it('leaves alone what is no OAuthError', () => {
    const error = new Error('of the application')
    expect(attribute(error, ofAda)).toBe(error)
  })
})
