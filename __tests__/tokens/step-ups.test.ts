/** Step-up marks: how long they last, and for whom. */
import { describe, expect, it } from '@jest/globals'
import { vault } from '../../lib/storage/vault.js'
import { stepUps } from '../../lib/tokens/step-ups.js'
import { ring, start, world } from '../support/replica.js'

const exp = start / 1000 + 3600

function setup() {
  const { clock, storage } = world()
  const replica = () => stepUps(vault(storage, ring), () => clock.now)
  return { clock, storage, replica, marks: replica() }
}

describe('the need to step up', () => {
  it('is remembered for a minute, for one grant, on every replica', async () => {
    const { clock, replica, marks } = setup()
    expect(await marks.read('sid')).toEqual([])
    await marks.remember('sid', ['notes.write'], exp)
    expect(await replica().read('sid')).toEqual(['notes.write'])
    expect(await marks.read('other')).toEqual([])
    clock.now += 59_999
    expect(await marks.read('sid')).toEqual(['notes.write'])
    clock.now += 1
    expect(await marks.read('sid')).toEqual([])
  })

  it('ends with the token that was refused, to the millisecond', async () => {
    const { clock, marks } = setup()
    clock.now += 500
    await marks.remember('sid', ['notes.write'], start / 1000 + 3)
    clock.now = start + 2999
    expect(await marks.read('sid')).toEqual(['notes.write'])
    clock.now = start + 3000
    expect(await marks.read('sid')).toEqual([])
  })

  it('is not remembered at all for a token that has just expired', async () => {
    const { storage, marks } = setup()
    await marks.remember('sid', ['notes.write'], start / 1000)
    expect(storage.size).toBe(0)
  })
})
