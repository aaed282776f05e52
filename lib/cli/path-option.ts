/** Options that are paths. */
import { readPath } from '../setup/options.js'
import { UsageError } from './usage-error.js'

/** @param option as the user wrote it: `--resource` @throws UsageError for what is no path such as `/mcp` */
export function readPathOption(option: string, path: string): string {
  try {
    return readPath(option, path)
  } catch (error) {
    throw new UsageError((error as Error).message.replace('entraAuth: ', ''))
  }
}
