/** What stands in the way of a release, a line each. */
export function obstacles(
  manifest: Readonly<Record<string, unknown>>,
  changelog: string,
): readonly string[]
