/** Clients as processes: a home of their own, nothing of our environment, and a deadline. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'

/** Milliseconds that a command or an answer may take. */
const deadline = 60_000

/**
 * Runs a command to its end.
 *
 * @returns exit code (`null` when it had to be stopped) and all it printed
 */
export async function runCommand(argv, { cwd, env }) {
  const child = start(argv, { cwd, env }, 'ignore')
  const said = gather(child)
  const timer = setTimeout(() => stop(child), deadline)
  const [code] = await once(child, 'close')
  clearTimeout(timer)
  return { code, said: said() }
}

/** A process that answers lines of JSON with lines of JSON. What it prints on stderr is for its user. */
export function startLines(argv, { cwd, env }) {
  const child = start(argv, { cwd, env }, 'pipe')
  const said = gather(child, [child.stderr])
  const waiting = new Map()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const message = readJson(line)
    waiting.get(message?.id)?.(message)
  })
  child.stdin.on('error', () => {})
  const ended = once(child, 'close')
  return {
    said,
    send: (message) => child.stdin.write(`${JSON.stringify(message)}\n`),
    /** @returns the answer, or nothing when there is none in time */
    async ask(message) {
      const answer = new Promise((resolve) => waiting.set(message.id, resolve))
      child.stdin.write(`${JSON.stringify(message)}\n`)
      let timer
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, deadline)
      })
      const result = await Promise.race([answer, late, ended.then(() => undefined)])
      clearTimeout(timer)
      waiting.delete(message.id)
      return result
    },
    async stop() {
      stop(child)
      await ended
    },
  }
}

function start([command, ...args], { cwd, env }, stdin) {
  return spawn(command, args, { cwd, env, stdio: [stdin, 'pipe', 'pipe'], detached: true })
}

/** The process and its children: it leads a group of its own. */
function stop(child) {
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

function gather(child, streams = [child.stdout, child.stderr]) {
  let text = ''
  for (const stream of streams) {
    stream.on('data', (chunk) => {
      text += chunk
    })
  }
  return () => text
}

function readJson(line) {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
