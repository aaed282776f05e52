/** The colour of buttons and links: one colour of the operator's, made fit for either scheme. */
import { contrast, leastContrast, type Rgb, readColor, shadeFor, writeColor } from './contrast.js'

/** As `#rrggbb`, for each scheme. */
export interface Accent {
  readonly light: string
  readonly dark: string
}

/** What pages are written on, in each scheme: the ground of links, and the text on buttons. */
export const paper = { light: '#ffffff', dark: '#1d1d22' } as const

const black: Rgb = [0, 0, 0]
const white: Rgb = [255, 255, 255]

/**
 * Makes an accent of one colour. No colour can be read both on white and on the paper of the dark scheme, so the dark
 * scheme gets the nearest lighter shade that can.
 *
 * @throws RangeError that says what is wrong with the colour, and which shade would do
 */
export function accentOf(given: string): Accent {
  const color = readColor(given)
  if (!color) throw new RangeError("must be a colour such as '#0b5cad'")
  const ratio = contrast(color, colorOf(paper.light))
  if (ratio < leastContrast) {
    const shade = writeColor(shadeFor(color, colorOf(paper.light), black))
    throw new RangeError(
      `has a contrast of ${floor(ratio)}:1 with white, the text of buttons and the ground of links, and needs ${leastContrast}:1: ${shade} would do`,
    )
  }
  const dark = shadeFor(color, colorOf(paper.dark), white)
  return Object.freeze({ light: writeColor(color), dark: writeColor(dark) })
}

function colorOf(text: string): Rgb {
  return readColor(text) ?? black
}

/** Never rounded up to what is demanded. */
function floor(ratio: number): string {
  return (Math.floor(ratio * 100) / 100).toFixed(2)
}
