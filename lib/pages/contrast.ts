/** Whether text can be read on a colour, as WCAG measures it. */

/** Red, green and blue: whole numbers from 0 to 255. */
export type Rgb = readonly [number, number, number]

/** The least contrast of text and its ground. @see WCAG 2.2, success criterion 1.4.3 */
export const leastContrast = 4.5

/** Reads `#rrggbb`. */
export function readColor(text: string): Rgb | undefined {
  const digits = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(text)?.slice(1)
  return digits?.map((pair) => Number.parseInt(pair, 16)) as unknown as Rgb | undefined
}

/** Writes `#rrggbb`. */
export function writeColor(color: Rgb): string {
  return `#${color.map((part) => part.toString(16).padStart(2, '0')).join('')}`
}

/** From 1 (the same) to 21 (black on white). @see WCAG 2.2, "contrast ratio" and "relative luminance" */
export function contrast(one: Rgb, other: Rgb): number {
  const [lighter, darker] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [
    number,
    number,
  ]
  return (lighter + 0.05) / (darker + 0.05)
}

/**
 * The nearest shade of a colour that can be read on a ground: as little of another colour is mixed in as it takes.
 *
 * @param towards a colour that can be read on the ground itself
 */
export function shadeFor(color: Rgb, ground: Rgb, towards: Rgb): Rgb {
  for (let percent = 0; percent < 100; percent++) {
    const shade = color.map((part, i) =>
      Math.round(part + ((towards[i] ?? part) - part) * (percent / 100)),
    ) as unknown as Rgb
    if (contrast(shade, ground) >= leastContrast) return shade
  }
  return towards
}

function luminance(color: Rgb): number {
  const [red, green, blue] = color.map(linear) as unknown as Rgb
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function linear(part: number): number {
  const share = part / 255
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
}
