/** What an application waits for when it starts: one process after another, each with imports of its own. */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { shuffled } from '../statistics.js'

/** What is imported. The second is what any server of this kind loads anyway. */
export const starts = {
  nothing: [],
  'express + jose': ['express', 'jose'],
  'express + jose + mcp-entra': ['express', 'jose', 'mcp-entra'],
}

// The repository, so that the library and the application share one jose, as they do once they are installed.
const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * The first round is not kept.
 *
 * @returns {Map<string, { took: number, cpu: number }[]>} milliseconds of each start by name: from process to exit, and
 *   of CPU until everything is loaded
 */
export function measureStart(count, progress) {
  const samples = new Map(Object.keys(starts).map((name) => [name, []]))
  for (let round = 0; round <= count; round++) {
    progress(`start: round ${round} of ${count}`)
    for (const [name, packages] of shuffled(Object.entries(starts))) {
      const sample = start(packages)
      if (round > 0) samples.get(name).push(sample)
    }
  }
  return samples
}

function start(packages) {
  const imports = packages.map((name) => `import '${name}'`)
  const code = [...imports, 'console.log(JSON.stringify(process.cpuUsage()))'].join('\n')
  const startedAt = performance.now()
  const { status, error, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', code],
    { cwd: root, env: { ...process.env, NODE_ENV: 'production' }, encoding: 'utf8' },
  )
  const took = performance.now() - startedAt
  if (error) throw error
  if (status !== 0) throw new Error(`start: exit code ${status}: ${stderr}`)
  const { user, system } = JSON.parse(stdout)
  return { took, cpu: (user + system) / 1000 }
}
