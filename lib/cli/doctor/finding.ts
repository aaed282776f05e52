/** What a check found. */
import { oneLine } from '../io.js'

/** The outcome of one check, in words that hold no secret. */
export interface Finding {
  /** Which check: a short name that stays the same. */
  readonly check: string
  readonly status: 'ok' | 'warning' | 'failure'
  /** What was found, and what it means. */
  readonly says: string
  /** How to mend it. */
  readonly remedy?: string
}

/** Longest text, in characters: some of it comes from the server that is looked at. */
const longest = 600

export function ok(check: string, says: string): Finding {
  return { check, status: 'ok', says: says.slice(0, longest) }
}

export function warning(check: string, says: string, remedy: string): Finding {
  return {
    check,
    status: 'warning',
    says: says.slice(0, longest),
    remedy: remedy.slice(0, longest),
  }
}

export function failure(check: string, says: string, remedy: string): Finding {
  return {
    check,
    status: 'failure',
    says: says.slice(0, longest),
    remedy: remedy.slice(0, longest),
  }
}

/** What a run of `doctor` has to say. */
export interface Diagnosis {
  /** The URL, or `environment`. */
  readonly of: string
  readonly findings: readonly Finding[]
  /** What cannot be seen from here. */
  readonly notChecked: readonly string[]
}

/** The diagnosis as text for a terminal. Its parts may come from strangers. */
export function formatDiagnosis({ of, findings, notChecked }: Diagnosis): string {
  const count = (status: Finding['status']) =>
    findings.filter((finding) => finding.status === status).length
  const lines = findings.flatMap(({ check, status, says, remedy }) => [
    `${status.padEnd(8)}${check}: ${oneLine(says)}`,
    ...(remedy === undefined ? [] : [`        mend: ${oneLine(remedy)}`]),
  ])
  return `${[
    `Of ${oneLine(of)}:`,
    ...lines,
    ...notChecked.map((what) => `not checked: ${what}`),
    `${count('failure')} failures, ${count('warning')} warnings, ${count('ok')} ok`,
  ].join('\n')}\n`
}
