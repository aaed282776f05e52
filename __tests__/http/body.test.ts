import { EventEmitter, once } from 'node:events'
import { Agent, type RequestListener, request } from 'node:http'
import { describe, expect, it } from '@jest/globals'
import express from 'express'
import express4 from 'express4'
import { calledTools } from '../../lib/gate/mcp-request.js'
import { mediaType, type ParsedRequest, readBody, readForm, readJson } from '../../lib/http/body.js'
import { OAuthError } from '../../lib/oauth/errors.js'
import { type Answer, send, serve } from '../support/http-server.js'

const limit = 1000
const formType = { 'content-type': 'application/x-www-form-urlencoded' }
const jsonType = { 'content-type': 'application/json' }

/** Answers with what was read, or with the error; anything but an OAuthError is a 500. */
function answering(read: (req: ParsedRequest) => Promise<unknown>): RequestListener {
  return (req, res) => {
    read(req).then(
      (value) => res.end(JSON.stringify(value)),
      (error: unknown) => {
        res.statusCode = error instanceof OAuthError ? error.status : 500
        res.end(JSON.stringify(error instanceof OAuthError ? error.toBody() : String(error)))
      },
    )
  }
}

const form = answering((req) => readForm(req, limit))
const json = answering((req) => readJson(req, limit))

async function post(
  listener: RequestListener,
  headers: Record<string, string>,
  ...chunks: (string | Buffer)[]
): Promise<[number, unknown]> {
  const answer: Answer = await serve(listener, (url) =>
    send(url, { method: 'POST', headers }, chunks),
  )
  return [answer.status, JSON.parse(answer.text)]
}

const refused = (why: string) => ({ error: 'invalid_request', error_description: why })

describe('a form', () => {
  it('is read, in however many pieces it comes', async () => {
    expect(await post(form, formType, 'a=1&b=two+words')).toEqual([200, { a: '1', b: 'two words' }])
    expect(await post(form, formType, 'a=%C3', '%BC', '&b', '=2')).toEqual([
      200,
      { a: 'ü', b: '2' },
    ])
  })

  it('may be empty', async () => {
    expect(await post(form, formType)).toEqual([200, {}])
  })

  it('has a media type in any case, with parameters or not', async () => {
    const headers = { 'content-type': 'Application/X-WWW-Form-Urlencoded ; charset=UTF-8' }
    expect(await post(form, headers, 'a=1')).toEqual([200, { a: '1' }])
  })

  it.each<[string, Record<string, string>]>([
    ['JSON', jsonType],
    ['multipart', { 'content-type': 'multipart/form-data; boundary=x' }],
    ['no type', {}],
    ['two types', { 'content-type': 'application/x-www-form-urlencoded, text/plain' }],
  ])('is refused as %s', async (_, headers) => {
    const answer = refused('Send application/x-www-form-urlencoded.')
    expect(await post(form, headers, 'a=1')).toEqual([400, answer])
  })

  it('is refused with a parameter given twice', async () => {
    expect(await post(form, formType, 'a=1&a=2')).toEqual([
      400,
      refused("'a' is given more than once"),
    ])
  })

  it('may be as large as the limit', async () => {
    const value = 'x'.repeat(limit - 2)
    expect(await post(form, formType, `a=${value}`)).toEqual([200, { a: value }])
  })

  it.each<[string, Record<string, string>]>([
    ['by its Content-Length', { 'content-length': `${limit + 1}` }],
    ['in chunks without a length', { 'transfer-encoding': 'chunked' }],
  ])('is refused with 413 when it is larger %s', async (_, headers) => {
    const half = 'x'.repeat(limit / 2)
    expect(await post(form, { ...formType, ...headers }, 'a', half, half)).toEqual([
      413,
      refused('The body is larger than 1000 bytes.'),
    ])
  })

  it('that says it is too large is refused before any of it arrives', async () => {
    const status = await serve(form, async (url) => {
      const headers = { ...formType, 'content-length': `${limit + 1}` }
      const req = request(url, { method: 'POST', headers })
      req.on('error', () => undefined)
      req.flushHeaders()
      const [res] = await once(req, 'response')
      req.destroy()
      return res.statusCode
    })
    expect(status).toBe(413)
  })

  it('that never ends is refused as soon as it is over the limit', async () => {
    const status = await serve(form, async (url) => {
      const req = request(url, { method: 'POST', headers: formType })
      req.on('error', () => undefined)
      req.write('x'.repeat(limit + 1))
      const [res] = await once(req, 'response')
      req.destroy()
      return res.statusCode
    })
    expect(status).toBe(413)
  })
})

describe('a JSON body', () => {
  it.each([{ a: [1, { b: 'ü' }] }, [], 'text', null, 1])('is read: %j', async (value) => {
    expect(await post(json, jsonType, JSON.stringify(value))).toEqual([200, value])
  })

  it('is read when a character is cut in two by the network', async () => {
    const bytes = Buffer.from('{"a":"ü"}')
    expect(await post(json, jsonType, bytes.subarray(0, 7), bytes.subarray(7))).toEqual([
      200,
      { a: 'ü' },
    ])
  })

  it.each(['', '{', 'undefined', '{"a":1}}'])('is refused when it is none: %j', async (text) => {
    expect(await post(json, jsonType, text)).toEqual([400, refused('The body is not JSON.')])
  })

  it('keeps what the parser said as the cause, for the operator', async () => {
    let cause: unknown
    const listener = answering((req) =>
      readJson(req, limit).catch((error: OAuthError) => {
        cause = error.cause
        throw error
      }),
    )
    await post(listener, jsonType, '{')
    expect(String(cause)).toMatch(/^SyntaxError/)
  })

  it.each([
    ['There are more than 64 levels.', '['.repeat(400)],
    ['A member is there twice.', '{"a":1,"\\u0061":2}'],
    ['There is a member __proto__.', '{"a":[{"__proto__":1}]}'],
  ])('is refused: %s', async (why, text) => {
    expect(await post(json, jsonType, text)).toEqual([400, refused(why)])
  })

  it('is refused in another charset, and compressed', async () => {
    const answer = [400, refused('Send JSON in UTF-8, uncompressed.')]
    const utf16 = { 'content-type': 'application/json; charset=utf-16le' }
    expect(await post(json, utf16, Buffer.from('{}', 'utf16le'))).toEqual(answer)
    expect(await post(json, { ...jsonType, 'content-encoding': 'gzip' }, '{}')).toEqual(answer)
  })

  it('is refused when its bytes are no UTF-8', async () => {
    const answer = [400, refused('The body is not UTF-8.')]
    expect(await post(json, jsonType, Buffer.from([0x22, 0xff, 0x22]))).toEqual(answer)
  })

  it('is refused as a form', async () => {
    expect(await post(json, formType, '{}')).toEqual([400, refused('Send application/json.')])
  })

  it('is refused with 413 when it is too large', async () => {
    const text = JSON.stringify('x'.repeat(limit))
    expect(await post(json, jsonType, text)).toEqual([
      413,
      refused('The body is larger than 1000 bytes.'),
    ])
  })
})

describe.each([
  ['Express 4', express4 as unknown as typeof express],
  ['Express 5', express],
])('a body that %s has parsed before us', (_, framework) => {
  /** An application whose parsers run first, and which then takes its time before our endpoint runs. */
  const app = (read: RequestListener, ...parsers: express.RequestHandler[]) => {
    const application = framework()
    for (const parser of parsers) application.use(parser)
    application.use((_req, _res, next) => setImmediate(next))
    application.post('/', read)
    return application as RequestListener
  }

  it('is taken from express.urlencoded, plain or extended', async () => {
    for (const extended of [true, false]) {
      const parsed = app(form, framework.urlencoded({ extended }))
      expect(await post(parsed, formType, 'a=1&b=two+words&c=')).toEqual([
        200,
        { a: '1', b: 'two words' },
      ])
    }
  })

  it.each(['a=1&a=2', 'a[]=1', 'a[b]=1'])(
    'is refused with a parameter that became a structure: %s',
    async (text) => {
      const parsed = app(form, framework.urlencoded({ extended: true }))
      expect(await post(parsed, formType, text)).toEqual([
        400,
        refused("'a' is given more than once"),
      ])
    },
  )

  it('is taken from express.json', async () => {
    expect(await post(app(json, framework.json()), jsonType, '{"a":1}')).toEqual([200, { a: 1 }])
  })

  it('may be empty', async () => {
    const parsed = app(form, framework.urlencoded({ extended: true }))
    expect(await post(parsed, formType)).toEqual([200, {}])
    expect(await post(parsed, { ...formType, 'content-length': '0' })).toEqual([200, {}])
  })

  it('is read by ourselves when the parsers before us were for other media types', async () => {
    expect(await post(app(form, framework.json()), formType, 'a=1')).toEqual([200, { a: '1' }])
    const parsed = app(json, framework.urlencoded({ extended: true }), framework.text())
    expect(await post(parsed, jsonType, '{"a":1}')).toEqual([200, { a: 1 }])
  })

  it('hides no tool call from the guard when the parsers before it were for other media types', async () => {
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'add_note' } }
    const tools = answering(calledTools)
    for (const parser of [framework.urlencoded({ extended: true }), framework.text()]) {
      expect(await post(app(tools, parser), jsonType, JSON.stringify(call))).toEqual([
        200,
        ['add_note'],
      ])
    }
    for (const parser of [framework.json(), framework.raw({ type: '*/*' })]) {
      expect(await post(app(tools, parser), jsonType, JSON.stringify(call))).toEqual([
        200,
        ['add_note'],
      ])
    }
  })

  it('is taken from express.text and express.raw too', async () => {
    for (const parser of [framework.text({ type: '*/*' }), framework.raw({ type: '*/*' })]) {
      expect(await post(app(form, parser), formType, 'a=1&b=%20')).toEqual([
        200,
        { a: '1', b: ' ' },
      ])
      expect(await post(app(json, parser), jsonType, '{"a":1}')).toEqual([200, { a: 1 }])
      expect(await post(app(json, parser), jsonType, '{')).toEqual([
        400,
        refused('The body is not JSON.'),
      ])
    }
  })
})

describe('a body that somebody read and dropped', () => {
  it('is a mistake of the application, and said so', async () => {
    const listener: RequestListener = (req, res) => {
      req.resume().on('end', () => form(req, res))
    }
    expect(await post(listener, formType, 'a=1')).toEqual([
      500,
      'TypeError: mcp-entra: the request body was consumed before, and req.body is not set',
    ])
  })

  it('has no parameters when what is left of it is no object', async () => {
    const listener: RequestListener = (req, res) => {
      req.resume().on('end', () => form(Object.assign(req, { body: null }), res))
    }
    expect(await post(listener, formType, 'a=1')).toEqual([200, {}])
  })
})

describe('a whole body', () => {
  it('is its bytes, in order', async () => {
    const listener: RequestListener = (req, res) => {
      readBody(req, limit).then((bytes) => res.end(JSON.stringify(bytes.toString('hex'))))
    }
    expect(await post(listener, {}, Buffer.from([0, 255]), Buffer.from([1]))).toEqual([
      200,
      '00ff01',
    ])
  })

  it('is read where a middleware in front has paused the request', async () => {
    const listener: RequestListener = (req, res) => {
      req.pause()
      readBody(req, limit).then((bytes) => res.end(JSON.stringify(bytes.toString())))
    }
    expect(await post(listener, {}, 'late')).toEqual([200, 'late'])
  })

  it('is an error, and not what is left of it, where a middleware made text of its pieces', async () => {
    const listener = answering((req) => readBody(req.setEncoding('utf8'), limit))
    expect(await post(listener, {}, 'text')).toEqual([500, expect.stringMatching('TypeError')])
  })

  it.each([
    ['whole', 'a body', 200],
    ['too long', 'x'.repeat(limit + 1), 413],
  ])('leaves no listener behind: %s', async (_, body, status) => {
    const events = ['data', 'end', 'error', 'close']
    let left: unknown
    const listener = answering(async (req) => {
      const count = () => events.map((event) => req.listenerCount(event))
      const before = count()
      try {
        return (await readBody(req, limit)).length
      } finally {
        left = count().map((listeners, at) => listeners - (before[at] ?? 0))
      }
    })
    expect((await post(listener, { 'transfer-encoding': 'chunked' }, body))[0]).toBe(status)
    expect(left).toEqual([0, 0, 0, 0])
  })

  it('that is too long leaves the connection in use: its rest is read and dropped', async () => {
    const listener = answering((req) => readBody(req, limit))
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    const options = { method: 'POST', agent, headers: { 'transfer-encoding': 'chunked' } }
    const piece = 'x'.repeat(100_000)
    const statuses = await serve(listener, async (url) => {
      const long = await send(url, options, Array(20).fill(piece))
      const short = await send(url, options, ['short'])
      agent.destroy()
      return [long.status, short.status]
    })
    expect(statuses).toEqual([413, 200])
  })

  it('that breaks off is an error, and no answer to the client', async () => {
    const arrived = new EventEmitter()
    const listener: RequestListener = (req) => {
      req.once('data', () => arrived.emit('half'))
      readBody(req, limit).catch((error: unknown) => arrived.emit('end', error))
    }
    const outcome = await serve(listener, async (url) => {
      const [half, end] = [once(arrived, 'half'), once(arrived, 'end')]
      const req = request(url, { method: 'POST' })
      req.on('error', () => undefined)
      req.write('half')
      await half
      req.destroy()
      return (await end)[0]
    })
    expect(outcome).toMatchObject({ message: 'aborted', code: 'ECONNRESET' })
  })
})

describe('a media type', () => {
  it.each([
    [undefined, ''],
    ['', ''],
    ['application/json', 'application/json'],
    ['Application/JSON; charset=utf-8', 'application/json'],
    [' text/html ;a', 'text/html'],
    [';', ''],
  ])('of %j is %j', (header, expected) => {
    const headers = header === undefined ? {} : { 'content-type': header }
    expect(mediaType({ headers } as ParsedRequest)).toBe(expected)
  })
})
