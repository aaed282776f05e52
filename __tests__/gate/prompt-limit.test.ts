import { beforeEach, describe, expect, it } from '@jest/globals'
import { type PromptLimit, promptLimit } from '../../lib/gate/prompt-limit.js'
import { otherTenantId, tenantId } from '../support/entra.js'

const ada = { tid: tenantId, oid: 'ada', sub: 's', roles: [] }
const wish = { user: ada, clientId: 'copilot', scopes: ['https://graph.microsoft.com/Mail.Read'] }
/** With a refusal of its own, as each answer of Entra's is. */
const refused = (subject = wish) => ({ ...subject, refusal: {} })

let milliseconds: number
let prompts: PromptLimit
beforeEach(() => {
  milliseconds = 1_000_000
  prompts = promptLimit(() => milliseconds)
})

/** One call after the other. */
function ask(times: number, subject = wish): boolean[] {
  return Array.from({ length: times }, () => prompts.mayPrompt(refused(subject), prompts.begin()))
}

describe('a user', () => {
  it('is asked three times for the same, until ten minutes after the first', () => {
    expect(ask(1)).toEqual([true])
    milliseconds += 300_000
    expect(ask(4)).toEqual([true, true, false, false])
    milliseconds = 1_599_999
    expect(ask(1)).toEqual([false])
    milliseconds = 1_600_000
    expect(ask(4)).toEqual([true, true, true, false])
  })

  it('is asked once by all calls that were under way together', () => {
    const begun = Array.from({ length: 100 }, () => prompts.begin())
    expect(begun.map((place) => prompts.mayPrompt(refused(), place))).not.toContain(false)
    expect(ask(3)).toEqual([true, true, false])
    expect(begun.map((place) => prompts.mayPrompt(refused(), place))).not.toContain(false)
    expect(ask(1)).toEqual([false])
  })

  it('is asked once by all calls that hear the same refusal, however long one after the other', () => {
    const again = refused()
    const hear = (subject: typeof again) => prompts.mayPrompt(subject, prompts.begin())
    expect(Array.from({ length: 10 }, () => hear(again))).not.toContain(false)
    expect(ask(3)).toEqual([true, true, false])
    const last = refused()
    expect([hear(last), hear(again), hear(last)]).toEqual([false, true, false])
  })

  it.each([
    ['another user', { ...wish, user: { ...ada, oid: 'bob' } }],
    ['the same id in another tenant', { ...wish, user: { ...ada, tid: otherTenantId } }],
    ['another client', { ...wish, clientId: 'vscode' }],
    ['another API', { ...wish, scopes: ['https://graph.microsoft.com/User.Read'] }],
  ])('does not count for %s', (_who, subject) => {
    expect(ask(4)).toEqual([true, true, true, false])
    expect(ask(1, subject)).toEqual([true])
  })
})
