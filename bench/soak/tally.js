/** What the users of the soak met. */

/** How many of the answers that must not be are kept to be printed. */
const mostExamples = 20

/** Makes an empty tally. */
export function makeTally() {
  const counts = new Map()
  const examples = []
  const count = (what) => counts.set(what, (counts.get(what) ?? 0) + 1)
  const bad = (kind) => (what) => {
    count(kind)
    if (examples.length < mostExamples) {
      examples.push(`${new Date().toISOString()} ${kind}: ${what}`)
    }
  }
  return {
    count,
    /** An answer that is neither right nor a 503 with `Retry-After`. */
    wrong: bad('wrong answers'),
    /** A login that ended although nobody ended it. */
    lost: bad('logins lost'),
    examples,
    of: (what) => counts.get(what) ?? 0,
    all: () => [...counts].sort(),
  }
}
