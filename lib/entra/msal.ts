/** MSAL, loaded late: it takes a quarter of a second, on the first login and not at start. */

type Msal = typeof import('@azure/msal-node')
let loading: Promise<Msal> | undefined

/** The package, loaded once. */
export function loadMsal(): Promise<Msal> {
  loading ??= import('@azure/msal-node')
  return loading
}
