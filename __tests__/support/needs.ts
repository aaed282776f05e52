/** Tests that need a program which may not be there are skipped, and `skip-reporter.mjs` says so at the end. */
import { describe } from '@jest/globals'

/** What a test may need of a machine: each has its remedy in `skip-reporter.mjs`. */
export type Need = 'redis-server' | 'chromium' | 'strace' | 'conformance runner' | 'npm registry'

/** `describe`, with what the tests here use of it. */
export interface Describe {
  (title: string, body: () => void): void
  readonly each: typeof describe.each
}

/** `describe` where the need is there. Otherwise the tests are skipped, in a block whose title names the need. */
export function describeNeeding(need: Need, isThere: boolean): Describe {
  if (isThere) return describe
  const skipped = (body: () => void) => describe.skip(`needs ${need}`, body)
  const each = (...table: unknown[]) => {
    const rows = (describe.each as (...table: unknown[]) => (...test: unknown[]) => void)(...table)
    return (...test: unknown[]) => skipped(() => rows(...test))
  }
  return Object.assign((title: string, body: () => void) => skipped(() => describe(title, body)), {
    each: each as typeof describe.each,
  })
}
