/** One proxy on loopback. Runs as a child process. */
import { answerParent } from '../answer-parent.js'
import { freePort } from '../free-port.js'

const [, , contestant] = process.argv
const { startProxy } = await import(`./contestants/${contestant}.js`)

answerParent({ start, usage })

/** @returns the port */
async function start({ entra, settings }) {
  const port = await freePort()
  await startProxy({ port, baseUrl: `http://127.0.0.1:${port}`, entra, ...settings })
  return { port }
}

/** CPU in microseconds since the start, memory in bytes. */
function usage() {
  const { user, system } = process.cpuUsage()
  return { cpu: user + system, rss: process.memoryUsage.rss() }
}
