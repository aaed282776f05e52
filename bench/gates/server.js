/** One Express 5 server with a route behind one gate, or several. Runs as a child process. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import express from 'express'
import { answerParent } from '../answer-parent.js'

const [, , variant] = process.argv
const { makeGate } = await import(`./variants/${variant}.js`)

answerParent({ start, usage })

/** @returns the port, and `own`: what the gate issues itself, where it does */
async function start(settings) {
  const server = createServer()
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address()
  const baseUrl = `http://127.0.0.1:${port}`
  const { middlewares, more = {}, own } = await makeGate({ ...settings, baseUrl })
  server.on('request', app({ '/r': middlewares, ...more }))
  return { port, own }
}

/** @param routes middlewares by path */
function app(routes) {
  const host = express()
  for (const [path, middlewares] of Object.entries(routes)) {
    host.post(path, ...middlewares, (_req, res) => res.json({ ok: true }))
  }
  return host.use((error, _req, res, _next) => {
    res
      .status(error.status ?? 500)
      .set(error.headers ?? {})
      .json({ error: error.message })
  })
}

/** CPU in microseconds since the start, memory in bytes. */
function usage() {
  const { user, system } = process.cpuUsage()
  return { cpu: user + system, rss: process.memoryUsage.rss() }
}
