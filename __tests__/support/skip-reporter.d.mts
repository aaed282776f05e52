interface Skipped {
  readonly title: string
  readonly need: string | undefined
}
type Results = readonly {
  readonly testResults: readonly {
    readonly status: string
    readonly fullName: string
    readonly ancestorTitles: readonly string[]
  }[]
}[]

export function skippedTests(results: Results): Skipped[]
export function report(skipped: readonly Skipped[], platform?: NodeJS.Platform): string
export function noSkips(skipped: readonly Skipped[]): Error | undefined
