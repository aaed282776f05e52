import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { causeText } from '../../lib/entra/cause-text.js'

const jwt = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZGEifQ.c2ln'
const opaque = '1.AXoAq1X8fihUKQ8o_lij_2Ta9SDRNebcJGo0mYyZZ4bmYAACYAA'

describe('causeText', () => {
  it.each([
    ['its message', new Error('no identity here'), 'no identity here'],
    ['a text that was thrown', 'no identity here', 'no identity here'],
    ['an error of another realm', { message: 'no identity here' }, 'no identity here'],
    ['several lines, as one', new Error('a\n\tb\r\n  c'), 'a b c'],
    ['without control characters', new Error('a\u001b[31mb\u0000c'), 'a [31mb c'],
    ['no JWT', new Error(`refused ${jwt}: expired`), 'refused [hidden]: expired'],
    [
      'no bearer token',
      new Error('{"authorization":"Bearer s3cr3t"}'),
      '{"authorization":"Bearer [hidden]"}',
    ],
    [
      'no basic credentials',
      new Error('authorization: basic aWQ6c2VjcmV0, next'),
      'authorization: basic [hidden], next',
    ],
    ['no long run of characters', new Error(`token ${opaque} x`), 'token 1.[hidden] x'],
    [
      'ids, hosts and paths',
      new Error(
        '1de00001-0000-4000-8000-000000000001 at http://169.254.169.254/metadata/identity/oauth2/token',
      ),
      '1de00001-0000-4000-8000-000000000001 at http://169.254.169.254/metadata/identity/oauth2/token',
    ],
    ['that there is nothing', new Error(''), 'no message'],
    ['nothing of other things', { a: 1 }, 'no message'],
    ['nothing of null', null, 'no message'],
    ['nothing of a message that is no text', { message: { jwt } }, 'no message'],
  ])('says %s', (_what, cause, text) => {
    expect(causeText(cause)).toBe(text)
  })

  it('shortens what is long, however long it is', () => {
    expect(causeText('word '.repeat(100_000))).toBe(`${'word '.repeat(80)}…`)
  })

  it('hides a token wherever it stands', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (before, after) => {
        expect(causeText(`${before} ${jwt} ${after}`)).not.toContain(jwt.slice(-20))
      }),
    )
  })
})
