/** Options that only some middlewares need. */

/** @throws TypeError, in the words of `caller`, when the option was not given to `entraAuth` */
export function needed<T>(
  caller: string,
  option: string,
  value: T | undefined,
): asserts value is T {
  if (value === undefined)
    throw new TypeError(`${caller}: entraAuth needs the option \`${option}\` for this`)
}
