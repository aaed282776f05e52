import { describe, expect, it } from '@jest/globals'
import {
  carryChallenge,
  findUnansweredChallenge,
  recordAnswers,
  refuseChallenge,
} from '../../lib/login/carried-challenges.js'
import { type Challenges, challengeId, type PendingChallenge } from '../../lib/tokens/challenges.js'
import { loginGrant } from '../support/replica.js'

const { user, client } = loginGrant
const mfa: PendingChallenge = { claims: '{"access_token":{}}', raisedBy: 'a grant', after: [] }
const id = challengeId(mfa)
const forUser = { tid: user.tid, oid: user.oid }

/** Challenges of one user, in memory. */
function pendingOf(pending: PendingChallenge | undefined) {
  const state = { pending }
  const challenges: Challenges = {
    read: async () => state.pending,
    async remember(_user, challenge) {
      state.pending = challenge
    },
    async clear() {
      state.pending = undefined
    },
    async withdraw() {
      state.pending = undefined
    },
  }
  return { state, challenges }
}

describe('the challenge that waits for a user', () => {
  it('is carried by the login, unless the login has carried it already', async () => {
    const { state, challenges } = pendingOf(mfa)
    expect(await findUnansweredChallenge(challenges, undefined, loginGrant)).toBe(mfa)
    expect(state.pending).toBe(mfa)
    const carried = { ...forUser, ids: [id] }
    expect(await findUnansweredChallenge(challenges, carried, loginGrant)).toBeUndefined()
    expect(state.pending).toBeUndefined()
  })

  it('is not carried after three others, nor once it was refused', async () => {
    const many = { ...forUser, ids: ['1', '2', '3'] }
    expect(
      await findUnansweredChallenge(pendingOf(mfa).challenges, many, loginGrant),
    ).toBeUndefined()
    const { state, challenges } = pendingOf({ ...mfa, refused: true })
    expect(await findUnansweredChallenge(challenges, undefined, loginGrant)).toBeUndefined()
    expect(state.pending?.refused).toBe(true)
  })
})

describe('the challenges that a login carries', () => {
  it('are the last three: the cookie has no room for more', () => {
    const consent = { ...mfa, claims: undefined, scopes: ['s'], after: ['1', '2', '3', '4'] }
    const { claims: _claims, ...last } = consent
    expect(carryChallenge(undefined, user, last).ids).toEqual(['3', '4', challengeId(last)])
  })

  it('grow for the user they are for, and start anew for another one', () => {
    const carried = { ...forUser, ids: ['first'] }
    expect(carryChallenge(carried, user, mfa)).toEqual({ ...forUser, ids: ['first', id] })
    const bob = { ...user, oid: 'oid-bob' }
    const before = { ...mfa, after: ['earlier'] }
    expect(carryChallenge(carried, bob, before)).toEqual({
      tid: user.tid,
      oid: 'oid-bob',
      ids: ['earlier', id],
    })
  })

  it('stand on the grant of the user they were for, and on no other', () => {
    expect(recordAnswers({ ...forUser, ids: [id] }, loginGrant).answered).toEqual([id])
    expect(recordAnswers({ tid: user.tid, oid: 'oid-bob', ids: [id] }, loginGrant)).toBe(loginGrant)
    expect(recordAnswers(undefined, loginGrant)).toBe(loginGrant)
  })
})

describe('a challenge that Entra did not let the user satisfy', () => {
  const report = () => undefined

  it('is marked as refused, if it was carried', async () => {
    const { state, challenges } = pendingOf(mfa)
    await refuseChallenge({ challenges, report }, client, undefined)
    await refuseChallenge({ challenges, report }, client, { ...forUser, ids: ['another'] })
    expect(state.pending).toBe(mfa)
    await refuseChallenge({ challenges, report }, client, { ...forUser, ids: [id] })
    expect(state.pending).toEqual({ ...mfa, refused: true })
  })

  it('is reported when the store is away, and the login fails with what Entra said', async () => {
    const events: unknown[] = []
    const error = new Error('down')
    const challenges = { ...pendingOf(mfa).challenges, read: () => Promise.reject(error) }
    const heard = (name: string, event: object) => void events.push([name, event])
    await refuseChallenge({ challenges, report: heard }, client, { ...forUser, ids: [id] })
    expect(events).toEqual([
      ['failure', { endpoint: 'callback', reason: 'challenge_not_recorded', error }],
    ])
  })
})
