/** The little statistics a benchmark on a noisy machine needs. */

/** The value below which a share of the values lies; the median by default. */
export function quantile(values, share = 0.5) {
  const sorted = Float64Array.from(values).sort()
  const position = (sorted.length - 1) * share
  const below = sorted[Math.floor(position)]
  return below + (sorted[Math.ceil(position)] - below) * (position % 1)
}

/** A copy in random order (Fisher and Yates). */
export function shuffled(values) {
  const copy = [...values]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(Math.random() * (i + 1))
    const other = copy[j]
    copy[j] = copy[i]
    copy[i] = other
  }
  return copy
}

/** The median, with the quartiles in brackets. */
export function spread(values, digits) {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((share) =>
    quantile(values, share).toFixed(digits),
  )
  return `${middle} (${low} to ${high})`
}
