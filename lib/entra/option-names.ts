/** Names of options and scopes that do not exist: a misspelt one would be left out without a word. */

/**
 * Checks that an object has no other options than these.
 *
 * @param caller the function that takes them, and where in them: `entraAuth`, `scopeGuard: tools.add_note`
 * @throws TypeError that names the stray option and the nearest known one
 */
export function checkOptionNames(caller: string, given: unknown, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError(`${caller}: the options must be an object`)
  }
  const stray = Object.keys(given).find((name) => !known.includes(name))
  if (stray === undefined) return
  throw new TypeError(`${caller}: no such option: "${stray}" ${suggestion(stray, known)}`)
}

/** In brackets: the nearest of the names, or else all of them. */
export function suggestion(name: string, known: readonly string[]): string {
  const near = nearest(name, known)
  return near === undefined
    ? `(there are: ${known.map((one) => `"${one}"`).join(', ')})`
    : `(did you mean "${near}"?)`
}

/** The name that differs least, in at most two letters: changed, added or left out. Capitals count for nothing. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const folded = name.toLowerCase()
  for (const edits of [0, 1, 2]) {
    const found = known.find((one) => isNear(folded, one.toLowerCase(), edits))
    if (found !== undefined) return found
  }
  return undefined
}

function isNear(a: string, b: string, edits: number): boolean {
  if (a === b) return true
  if (edits === 0) return false
  let same = 0
  while (same < a.length && a[same] === b[same]) same += 1
  const [restOfA, restOfB] = [a.slice(same), b.slice(same)]
  return [
    [restOfA.slice(1), restOfB.slice(1)] as const,
    [restOfA.slice(1), restOfB] as const,
    [restOfA, restOfB.slice(1)] as const,
  ].some(([nextA, nextB]) => isNear(nextA, nextB, edits - 1))
}
