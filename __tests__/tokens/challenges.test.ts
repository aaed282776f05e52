/** Which challenges a user is asked to answer, after those that they have answered of late. */
import { describe, expect, it } from '@jest/globals'
import { challengeId, mayBeRaised } from '../../lib/tokens/challenges.js'

const claims = (value: number) => ({ claims: `{"value":${value}}` })
const consent = (value: number) => ({ scopes: [`s${value}`, 'more'] })
const ids = (...all: { claims?: string; scopes?: string[] }[]) => all.map(challengeId)

describe('a challenge', () => {
  it.each([
    ['of Entra', claims(1)],
    ['of consent', consent(1)],
    ['without a word', {}],
  ])('%s is raised until it was answered', (_what, challenge) => {
    expect(mayBeRaised(challenge, [])).toBe(true)
    expect(mayBeRaised(challenge, ids(claims(2), consent(2)))).toBe(true)
    expect(mayBeRaised(challenge, ids(claims(2), challenge))).toBe(false)
  })

  it('of Entra is not raised after three others, in whatever words', () => {
    const three = ids(claims(1), claims(2), {})
    expect([mayBeRaised(claims(4), three), mayBeRaised(consent(4), three)]).toEqual([false, true])
  })

  it('of consent is raised however many others were given, and they count for nothing else', () => {
    const many = ids(...Array.from({ length: 9 }, (_, n) => consent(n)))
    expect([mayBeRaised(consent(10), many), mayBeRaised(claims(1), many)]).toEqual([true, true])
    expect(mayBeRaised(consent(3), many)).toBe(false)
  })
})
