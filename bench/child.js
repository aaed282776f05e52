/** A child process of the bench: one server each, so that none pays for another's garbage. */
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/**
 * Starts a module as a child that answers questions over IPC (see `answer-parent.js`).
 *
 * @param {string} module file name beside this one
 */
export function startChild(module, args = []) {
  const child = fork(fileURLToPath(new URL(module, import.meta.url)), args, {
    env: { ...process.env, NODE_ENV: 'production' },
    serialization: 'advanced',
    // What a peer says about itself does not belong among the results.
    stdio: ['ignore', 2, 2, 'ipc'],
    // V8 cleans up in a process that waits for its turn, and that throws away compiled code: after 15 idle seconds,
    // requests took more than twice the CPU for the next two thousand. A server at work has no such pauses.
    execArgv: ['--no-flush-bytecode', '--no-memory-reducer'],
  })
  const name = [module, ...args].join(' ')
  const ended = new Promise((_resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) => reject(new Error(`${name} ended early with exit code ${code}`)))
  })
  ended.catch(() => undefined)
  return {
    pid: child.pid,
    /** Asks one thing at a time. */
    ask(question, value) {
      const answer = new Promise((resolve, reject) => {
        child.once('message', ({ error, result }) =>
          error ? reject(new Error(error)) : resolve(result),
        )
      })
      child.send({ question, value })
      return Promise.race([answer, ended])
    },
    stop() {
      child.disconnect()
    },
  }
}
