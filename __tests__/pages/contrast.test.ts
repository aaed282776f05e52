/** Contrast as WCAG measures it. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { accentOf, paper } from '../../lib/pages/accent.js'
import { contrast, readColor, shadeFor } from '../../lib/pages/contrast.js'

function ratio(one: string, other: string): number {
  const [a, b] = [readColor(one), readColor(other)]
  if (!a || !b) throw new Error(`not a colour: ${one}, ${other}`)
  return contrast(a, b)
}

const color = fc
  .tuple(fc.nat(255), fc.nat(255), fc.nat(255))
  .map((parts) => `#${parts.map((part) => part.toString(16).padStart(2, '0')).join('')}`)

describe('contrast (WCAG 2.2)', () => {
  // Values of the WebAIM contrast checker.
  it.each([
    ['#000000', '#ffffff', 21],
    ['#ffffff', '#ffffff', 1],
    ['#777777', '#ffffff', 4.48],
    ['#767676', '#ffffff', 4.54],
    ['#ff0000', '#ffffff', 4],
    ['#0000ff', '#ffffff', 8.59],
    ['#00ff00', '#000000', 15.3],
  ])('of %s and %s is %s', (one, other, expected) => {
    expect(ratio(one, other)).toBeCloseTo(expected, 1)
    expect(ratio(other, one)).toBe(ratio(one, other))
  })

  it.each(['red', '#fff', '#12345g', '0b5cad', '#0b5cad80', ' #0b5cad', ''])(
    '%j is no colour',
    (text) => {
      expect(readColor(text)).toBeUndefined()
    },
  )
})

describe('an accent', () => {
  it('stays as it is in the light scheme, and can be read in the dark one as well', () => {
    fc.assert(
      fc.property(color, (given) => {
        if (ratio(given, paper.light) < 4.5) {
          expect(() => accentOf(given)).toThrow(RangeError)
          return
        }
        const { light, dark } = accentOf(given)
        expect(light).toBe(given)
        expect(ratio(light, paper.light)).toBeGreaterThanOrEqual(4.5)
        expect(ratio(dark, paper.dark)).toBeGreaterThanOrEqual(4.5)
      }),
    )
  })

  it('that is too light is told its ratio, never rounded up, and a shade that would do', () => {
    fc.assert(
      fc.property(color, (given) => {
        fc.pre(ratio(given, paper.light) < 4.5)
        let message = ''
        try {
          accentOf(given)
        } catch (error) {
          message = String(error)
        }
        const [, told = '', shade = ''] =
          /has a contrast of ([\d.]+):1 .*: (#[0-9a-f]{6}) would do$/.exec(message) ?? []
        expect(Number(told)).toBeLessThanOrEqual(ratio(given, paper.light))
        expect(accentOf(shade).light).toBe(shade)
      }),
    )
  })

  it('is changed no more than it takes', () => {
    expect(accentOf('#5a5af0')).toEqual({ light: '#5a5af0', dark: expect.stringMatching(/^#/) })
    const nearly = accentOf('#767676').dark
    expect(ratio(nearly, paper.dark)).toBeLessThan(4.8)
    expect(shadeFor([255, 255, 255], [0, 0, 0], [255, 255, 255])).toEqual([255, 255, 255])
    expect(shadeFor([120, 120, 120], [119, 119, 119], [121, 121, 121])).toEqual([121, 121, 121])
  })
})
