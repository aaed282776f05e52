/** Calls that wait for their user: until when, and how many of them. */
import { describe, expect, it } from '@jest/globals'
import { interactionWaits } from '../../lib/gate/interaction-waits.js'
import { settled } from '../support/replica.js'

/** Interactions of whoever asks, but for `theirs`. Nothing in them ends before a test says so. */
function world(limits?: { ofLogin?: number; ofAll?: number }) {
  const state = { ended: false, looks: 0, isAway: false }
  const waits = interactionWaits(
    {
      isOf: async (id) => id !== 'theirs',
      async isEnded() {
        state.looks += 1
        if (state.isAway) throw new Error('the store is away')
        return state.ended
      },
    },
    limits,
  )
  /** Begins to wait, and says what has become of it by now. */
  function begin(sid: string, isGone = () => false) {
    const call = { isOver: false, over: Promise.resolve() }
    call.over = waits.wait('mine', sid, isGone).finally(() => {
      call.isOver = true
    })
    return call
  }
  return { state, waits, begin }
}
const stays = () => false

describe('a call', () => {
  it('waits until its user has finished', async () => {
    const { state, begin } = world()
    const call = begin('ada')
    await settled()
    expect([call.isOver, state.looks]).toEqual([false, 1])
    state.ended = true
    await call.over
    expect(state.looks).toBe(2)
  })

  it('does not wait when nobody waits for it, nor for what is of another login', async () => {
    const { state, waits } = world()
    await waits.wait('mine', 'ada', () => true)
    await waits.wait('theirs', 'ada', stays)
    expect(state.looks).toBe(0)
  })
})

describe('of calls that wait', () => {
  it.each([
    ['of one login', { ofLogin: 2, ofAll: 9 }, ['ada', 'ada'], 'ada', 'bob'],
    ['of all logins', { ofLogin: 9, ofAll: 2 }, ['ada', 'bob'], 'eve', undefined],
  ])(
    'there are so many %s, and one more goes on at once',
    async (_which, limits, first, over, free) => {
      const { state, waits, begin } = world(limits)
      const calls = first.map((sid) => begin(sid))
      await settled()
      const looks = state.looks
      await waits.wait('mine', over, stays)
      expect([looks, state.looks]).toEqual([2, 2])
      // Another login has places of its own, as long as there are any.
      if (free !== undefined) {
        calls.push(begin(free))
        await settled()
        expect([calls.at(-1)?.isOver, state.looks]).toEqual([false, 3])
      }
      state.ended = true
      await Promise.all(calls.map(({ over: end }) => end))
      // All places are free again.
      state.ended = false
      const again = begin(over)
      await settled()
      expect(again.isOver).toBe(false)
      state.ended = true
      await again.over
    },
  )

  it('one that fails, or whose client leaves, gives its place back', async () => {
    const { state, waits, begin } = world({ ofLogin: 1 })
    state.isAway = true
    await expect(waits.wait('mine', 'ada', stays)).rejects.toThrow('the store is away')
    state.isAway = false
    let isGone = false
    const left = begin('ada', () => isGone)
    await settled()
    isGone = true
    await left.over
    const next = begin('ada')
    await settled()
    expect(next.isOver).toBe(false)
    state.ended = true
    await next.over
  })

  it('ten of one login wait, and no more, unless told otherwise', async () => {
    const { state, begin } = world()
    const calls = Array.from({ length: 25 }, () => begin('ada'))
    await settled()
    expect(calls.filter(({ isOver }) => !isOver)).toHaveLength(10)
    state.ended = true
    await Promise.all(calls.map(({ over }) => over))
  })
})
