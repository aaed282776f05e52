/**
 * The scope names this process has heard of. A guard is made without an `entraAuth` at hand, yet a misspelt
 * scope must be found when the application starts and not when the first user is refused.
 */

const known = new Set<string>()

/** Called by `entraAuth` with the names of its strategy. */
export function learnScopes(names: readonly string[]): void {
  for (const name of names) known.add(name)
}

/** @throws TypeError, in the words of `caller`, for a name no `entraAuth` of this process has */
export function checkScopes(caller: string, names: readonly string[]): void {
  for (const name of names) {
    if (typeof name !== 'string' || !/^[\x21\x23-\x5b\x5d-\x7e]+$/.test(name)) {
      throw new TypeError(`${caller}: a scope is a name without spaces: ${JSON.stringify(name)}`)
    }
    if (known.size > 0 && !known.has(name)) {
      throw new TypeError(
        `${caller}: no such scope: "${name}"; entraAuth's scopes are ${[...known].join(', ')}`,
      )
    }
  }
}
