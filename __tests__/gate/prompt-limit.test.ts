import { beforeEach, describe, expect, it } from '@jest/globals'
import { type MayPrompt, promptLimit } from '../../lib/gate/prompt-limit.js'
import { otherTenantId, tenantId } from '../support/entra.js'

const ada = { tid: tenantId, oid: 'ada', sub: 's', roles: [] }
const wish = { user: ada, clientId: 'copilot', scopes: ['https://graph.microsoft.com/Mail.Read'] }

let milliseconds: number
let mayPrompt: MayPrompt
beforeEach(() => {
  milliseconds = 1_000_000
  mayPrompt = promptLimit(() => milliseconds)
})

/** Asks every so many milliseconds. */
function ask(times: number, every: number, subject = wish): boolean[] {
  return Array.from({ length: times }, () => {
    const may = mayPrompt(subject)
    milliseconds += every
    return may
  })
}

describe('a user', () => {
  it('is asked three times for the same, until ten minutes after the first', () => {
    expect(ask(4, 5_000)).toEqual([true, true, true, false])
    milliseconds = 1_599_999
    expect(mayPrompt(wish)).toBe(false)
    milliseconds = 1_600_000
    expect(ask(4, 5_000)).toEqual([true, true, true, false])
  })

  it('is asked once, however many calls are refused within five seconds of a prompt', () => {
    expect(ask(1000, 4)).not.toContain(false)
    milliseconds += 1_000
    expect(ask(3, 5_000)).toEqual([true, true, false])
  })

  it('cannot be asked for longer by calls that never pause', () => {
    const answers = ask(100, 1_000)
    expect(answers.indexOf(false)).toBe(15)
    expect(answers.slice(15)).not.toContain(true)
  })

  it.each([
    ['another user', { ...wish, user: { ...ada, oid: 'bob' } }],
    ['the same id in another tenant', { ...wish, user: { ...ada, tid: otherTenantId } }],
    ['another client', { ...wish, clientId: 'vscode' }],
    ['another API', { ...wish, scopes: ['https://graph.microsoft.com/User.Read'] }],
  ])('does not count for %s', (_who, subject) => {
    expect(ask(4, 5_000)).toContain(false)
    expect(mayPrompt(subject)).toBe(true)
  })
})
