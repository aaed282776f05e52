/** Loads undici on the first call to the outside and not at start: it is more than a hundred files. */

type Undici = typeof import('undici')
let loading: Promise<Undici> | undefined

/** Loads the package once. */
export function loadUndici(): Promise<Undici> {
  loading ??= import('undici')
  return loading
}
