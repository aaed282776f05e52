import { describe, expect, it } from '@jest/globals'
import { entraScopes } from '../../lib/entra/scopes.js'
import { stepUpMarks } from '../../lib/gate/step-up-marks.js'
import type { VerifiedToken } from '../../lib/gate/verified-token.js'
import type { StepUps } from '../../lib/tokens/step-ups.js'
import { loginGrant, start } from '../support/replica.js'

const scopes = entraScopes({
  clientId: 'app',
  required: ['notes.read'],
  optional: ['notes.write', 'notes.share'],
})

/** A token of a login that holds `notes.read` and `notes.share`. */
const token = {
  kind: 'proxy',
  scopes: ['notes.read'],
  expiresAt: start / 1000 + 600,
  sid: 'sid',
  grant: { ...loginGrant, scopes: ['notes.read', 'notes.share'] },
} as unknown as VerifiedToken

function marking(remember?: StepUps['remember']) {
  const clock = { now: start }
  const marks: unknown[] = []
  const events: unknown[] = []
  const stepUps = {
    remember: remember ?? (async (...mark: unknown[]) => void marks.push(mark)),
  } as unknown as StepUps
  const ask = stepUpMarks({
    scopes,
    stepUps,
    report: (name, event) => void events.push([name, event]),
    now: () => clock.now,
  })
  return { ask, clock, marks, events }
}

describe('the mark after a 403', () => {
  it('names what the login lacks, and ends with the token', async () => {
    const { ask, marks } = marking()
    await ask(token, ['notes.share', 'notes.write'])
    expect(marks).toEqual([['sid', ['notes.write'], token.expiresAt]])
  })

  it('is not made for scopes that the login has: a refresh brings those', async () => {
    const { ask, marks } = marking()
    await ask(token, ['notes.share'])
    expect(marks).toEqual([])
  })

  it('is made once in 20 seconds for one token, however many 403s there are', async () => {
    const { ask, marks, clock } = marking()
    for (let i = 0; i < 5; i++) await ask(token, ['notes.write'])
    expect(marks).toHaveLength(1)
    clock.now += 20_000
    await ask(token, ['notes.write'])
    expect(marks).toHaveLength(2)
  })

  it("is not made for Entra's own tokens, which have no login here", async () => {
    const { ask, marks } = marking()
    const { sid: _sid, grant: _grant, ...entras } = token
    await ask(entras as VerifiedToken, ['notes.write'])
    expect(marks).toEqual([])
  })

  it('that cannot be stored is reported, and tried again at the next 403', async () => {
    const error = new Error('down')
    let failing = true
    const { ask, events } = marking(() => (failing ? Promise.reject(error) : Promise.resolve()))
    await ask(token, ['notes.write'])
    expect(events).toEqual([
      ['failure', { endpoint: 'gate', reason: 'step_up_not_recorded', error }],
    ])
    failing = false
    await ask(token, ['notes.write'])
    expect(events).toHaveLength(1)
  })
})
