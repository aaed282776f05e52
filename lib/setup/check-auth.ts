/** What every middleware is given first: the value that `entraAuth` returned. */

/** Options of `entraAuth` that nothing else has, by which they are known when they come in the place of its result. */
const telling = ['tenantId', 'baseUrl', 'clientId', 'credential']

/**
 * @param caller the function that was called
 * @param rest what stands behind `auth` in a call: `, { tools: … }`
 * @throws TypeError for anything but what `entraAuth` returned: it says what to write
 */
export function checkAuth(caller: string, auth: unknown, rest = ''): void {
  if (isAuth(auth)) return
  const call = `${caller}(auth${rest})`
  if (looksLikeOptions(auth)) {
    throw new TypeError(
      `${caller}: these are the options of entraAuth: write const auth = entraAuth({ … }), and ${call}`,
    )
  }
  throw new TypeError(`${caller}: pass what entraAuth returned: ${call}`)
}

/** Whether it is what `entraAuth` returned. */
export function isAuth(value: unknown): boolean {
  return typeof (value as { gate?: unknown } | null | undefined)?.gate === 'function'
}

/** Whether these are options of `entraAuth`. */
export function looksLikeOptions(value: unknown): boolean {
  return typeof value === 'object' && value !== null && telling.some((name) => name in value)
}
