#!/usr/bin/env node
/** The program `mcp-entra`: hands the process to `run`, and nothing else. */
import type { Io } from './io.js'
import { run } from './program.js'

const io: Io = {
  env: process.env,
  stdin: process.stdin,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  now: Date.now,
  onInterrupt() {
    const interrupt = new AbortController()
    // Only once: a second Ctrl-C ends the process as usual.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => interrupt.abort())
    }
    return interrupt.signal
  },
}

// A reader that has seen enough (`| head -1`) closes the pipe: what is left is for nobody, and no failure.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

process.exitCode = await run(process.argv.slice(2), io)
// A terminal that was read from would keep the process alive.
process.stdin.unref?.()
