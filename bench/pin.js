/** Servers get a core of their own, where the machine has two and Linux's `taskset`: then all have the same one. */
import { spawnSync } from 'node:child_process'
import { cpus } from 'node:os'

const pins = cpus().length > 1 && spawnSync('taskset', ['--version']).status === 0

/** How servers are pinned, in words for the results. */
export const pinning = pins
  ? 'each server is pinned to core 0 (taskset)'
  : 'servers are not pinned to a core (no taskset, or one core only)'

/** Pins a server, all its threads, to the core of servers. */
export function pinServer(pid) {
  if (pins) pin(pid, '0')
}

/** Keeps what is not measured, such as Entra, off that core. */
export function keepOffServerCore(pid) {
  if (pins) pin(pid, `1-${cpus().length - 1}`)
}

function pin(pid, cores) {
  const { status, stderr } = spawnSync('taskset', ['-a', '-c', '-p', cores, String(pid)])
  if (status !== 0) throw new Error(`taskset: ${stderr}`)
}
