import { EventEmitter, once } from 'node:events'
import { type RequestListener, request } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import { readBody } from '../../lib/http/body.js'
import type { Next } from '../../lib/http/middleware.js'
import { isAnswered, runAsync } from '../../lib/http/run-async.js'
import { send, serve } from '../support/http-server.js'
import { until } from '../support/redis-server.js'

/** How often `next` was called, and with what, when `work` was the work of a middleware. */
async function nextsOf(
  work: (next: Next, res: Parameters<RequestListener>[1]) => Promise<void>,
): Promise<unknown[]> {
  const calls: unknown[] = []
  const listener: RequestListener = (req, res) => {
    const next: Next = (error) => {
      calls.push(error)
      if (!isAnswered(res)) res.end('next')
    }
    runAsync({ req, res, next }, (goOn) => work(goOn, res))
  }
  await serve(listener, (url) => send(url, {}))
  return calls
}

describe('the asynchronous part of a middleware', () => {
  it('goes on once, however often it says so', async () => {
    const twice = async (next: Next) => {
      next()
      next()
      next(new Error('too late'))
      throw new Error('much too late')
    }
    expect(await nextsOf(twice)).toEqual([undefined])
  })

  it('hands its error on', async () => {
    const error = new Error('of the work')
    expect(await nextsOf(() => Promise.reject(error))).toEqual([error])
  })

  it('does not go on when the client went away before its body was read: nothing is wrong', async () => {
    const calls: unknown[] = []
    const arrived = new EventEmitter()
    const listener: RequestListener = (req, res) => {
      const next: Next = (error) => void calls.push(error)
      runAsync({ req, res, next }, async () => {
        await until('all of it has arrived', async () => req.complete)
        arrived.emit('whole')
        await once(res, 'close')
        await readBody(req, 100).finally(() => arrived.emit('end'))
      })
    }
    await serve(listener, async (url) => {
      const [whole, end] = [once(arrived, 'whole'), once(arrived, 'end')]
      const req = request(url, { method: 'POST' })
      req.on('error', () => undefined)
      req.end('a body')
      await whole
      req.destroy()
      await end
      await new Promise(setImmediate)
    })
    expect(calls).toEqual([])
  })

  it.each([undefined, null, false, 0, '', 'route', 'router'])(
    'fails with an error also when it was rejected with %j, which would be leave to go on',
    async (reason) => {
      const calls = await nextsOf(() => Promise.reject(reason))
      expect(calls).toEqual([new Error('mcp-entra: something failed without an error')])
      expect((calls[0] as Error).cause).toBe(reason)
    },
  )

  it('does not go on, with an error or without, when the request has been answered', async () => {
    const answers = async (next: Next, res: Parameters<RequestListener>[1]) => {
      res.end('answered')
      next()
      throw new Error('afterwards')
    }
    expect(await nextsOf(answers)).toEqual([])
  })

  it('may have been answered with headers alone', async () => {
    const answers = async (next: Next, res: Parameters<RequestListener>[1]) => {
      res.writeHead(200).flushHeaders()
      next()
      res.end()
    }
    expect(await nextsOf(answers)).toEqual([])
  })
})
