/** One thing we set out to reach: a row of the table of targets. */
export function target(wanted, measured, reached) {
  return [wanted, measured, reached ? 'PASS' : 'MISS']
}
