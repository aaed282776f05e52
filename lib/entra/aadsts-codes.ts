/** Numbers reported of one text, which may be of any length. */
const mostCodes = 8

/**
 * The AADSTS numbers in an `error_description`, for the operator. At the callback there is no `error_codes`.
 *
 * @see https://learn.microsoft.com/entra/identity-platform/reference-error-codes
 */
export function aadstsCodesIn(description: string): readonly number[] {
  return [...description.matchAll(/AADSTS(\d{4,8})/g)]
    .slice(0, mostCodes)
    .map(([, code]) => Number(code))
}
