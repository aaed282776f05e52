/** What an operator without a logger of his own reads: the console. */
import { jest } from '@jest/globals'
import type { Logger } from 'mcp-entra'

/** A line on the console. */
export interface ConsoleLine {
  readonly level: 'warn' | 'error'
  readonly message: unknown
  readonly fields: Record<string, unknown>
}

/** For options of `entraAuth` that have a logger already: the default one instead. */
export const defaultLogger = { logger: undefined as unknown as Logger }

/** Keeps the lines off the console and collects them, until `end` is called. */
export function watchConsole(): { readonly lines: ConsoleLine[]; end(): void } {
  const lines: ConsoleLine[] = []
  const spies = (['warn', 'error'] as const).map((level) =>
    jest.spyOn(console, level).mockImplementation((message: unknown, fields: unknown) => {
      lines.push({ level, message, fields: (fields ?? {}) as Record<string, unknown> })
    }),
  )
  return {
    lines,
    end() {
      for (const spy of spies) spy.mockRestore()
    },
  }
}
