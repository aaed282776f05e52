import { Readable } from 'node:stream'
import { describe, expect, it } from '@jest/globals'
import { readBounded } from '../../lib/http/read-bounded.js'

const tooLong = () => new RangeError('too long')
const chunks = (...texts: string[]) => Readable.from(texts.map((text) => Buffer.from(text)))

describe('readBounded', () => {
  it.each([
    [[], ''],
    [['abc'], 'abc'],
    [['ab', '', 'cde'], 'abcde'],
  ])('joins the chunks %j', async (texts, whole) => {
    expect((await readBounded(chunks(...texts), 5, tooLong)).toString()).toBe(whole)
  })

  it('does not take a character apart that is divided between two chunks', async () => {
    const bytes = Buffer.from('ü')
    const body = Readable.from([bytes.subarray(0, 1), bytes.subarray(1)])
    expect((await readBounded(body, 2, tooLong)).toString()).toBe('ü')
  })

  it('refuses a longer body, and reads no more of it', async () => {
    const body = chunks('abc', 'def', 'never read')
    await expect(readBounded(body, 5, tooLong)).rejects.toThrow(RangeError)
    expect(body.destroyed).toBe(true)
  })

  it('passes on the error of the stream', async () => {
    const body = new Readable({ read: () => body.destroy(new TypeError('reset')) })
    await expect(readBounded(body, 5, tooLong)).rejects.toThrow(TypeError)
  })
})
