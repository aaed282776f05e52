/** What `explain` says: facts, and whether our gate would let it pass. */
import { oneLine } from '../io.js'

/** An explanation. No part of it is a token, a code or another secret. */
export interface Explanation {
  readonly kind:
    | 'entra-access-token'
    | 'server-access-token'
    | 'identity-assertion'
    | 'unknown-token'
    | 'dpop-proof'
    | 'aadsts-code'
    | 'challenge'
    | 'error-url'
  /** In one sentence. */
  readonly summary: string
  readonly facts: readonly Fact[]
  /** Only of tokens. */
  readonly gate?: Gate
  /** What to do about it. */
  readonly remedies: readonly string[]
}

export type Fact = readonly [name: string, value: string]

/** `unknown`: nothing speaks against it, and what is left cannot be checked here. */
export interface Gate {
  readonly admits: 'yes' | 'no' | 'unknown'
  readonly because: readonly string[]
}

/** The explanation as text for a terminal. Its parts may come from strangers. */
export function formatExplanation({ summary, facts, gate, remedies }: Explanation): string {
  const width = Math.max(0, ...facts.map(([name]) => name.length)) + 2
  const lines = [
    oneLine(summary),
    ...facts.map(([name, value]) => `  ${`${name}:`.padEnd(width)}${oneLine(value)}`),
    ...(gate
      ? [`The gate: ${answers[gate.admits]}`, ...gate.because.map((line) => `  - ${oneLine(line)}`)]
      : []),
    ...(remedies.length > 0
      ? ['What to do:', ...remedies.map((line) => `  - ${oneLine(line)}`)]
      : []),
  ]
  return `${lines.join('\n')}\n`
}

const answers = {
  yes: 'lets it pass',
  no: 'refuses it',
  unknown: 'cannot be known from here',
} as const
