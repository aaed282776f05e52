/** Loads MSAL on the first login and not at start: loading takes a quarter of a second. */

type Msal = typeof import('@azure/msal-node')
let loading: Promise<Msal> | undefined

/** Loads the package once. */
export function loadMsal(): Promise<Msal> {
  loading ??= import('@azure/msal-node')
  return loading
}
