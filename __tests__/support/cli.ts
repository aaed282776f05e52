/** The command in this process: what it prints, and its exit code. */
import { Readable } from 'node:stream'
import type { Io } from '../../lib/cli/io.js'
import { run } from '../../lib/cli/program.js'

export interface CliOptions {
  readonly env?: Io['env']
  readonly input?: string
  /** Whether input is a terminal. Default false. */
  readonly isTTY?: boolean
  readonly now?: () => number
  readonly interrupted?: AbortSignal
  /** Hears what is printed, as it is printed. */
  readonly onOutput?: (text: string) => void
}

export interface CliResult {
  readonly code: number
  readonly out: string
  readonly err: string
}

export async function cli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const { env = {}, input = '', isTTY = false, now = Date.now, onOutput } = options
  let out = ''
  let err = ''
  const code = await run(args, {
    env,
    stdin: Object.assign(Readable.from([input]), { isTTY }),
    out: (text) => {
      out += text
      onOutput?.(text)
    },
    err: (text) => {
      err += text
    },
    now,
    onInterrupt: () => options.interrupted ?? new AbortController().signal,
  })
  return { code, out, err }
}
