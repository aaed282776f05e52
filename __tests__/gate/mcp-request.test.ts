/** Messages that one parser reads as a call and another does not: the guard of a tool refuses them. */
import { once } from 'node:events'
import { connect, createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { oboToken, requireBearer, scopeGuard } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { calledTools } from '../../lib/gate/mcp-request.js'
import { ask, bob, post, startGate, type TestGate, toolCall, userRead } from '../support/gate.js'
import type { Entra } from '../support/host.js'

let entra: Entra
let gate: TestGate
let reader: string
/** Bodies that reached the handler. */
const reached: unknown[] = []

beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra, {
    mount(app, auth) {
      const gated = requireBearer(auth)
      const guard = scopeGuard({ tools: { add_note: 'notes.write' } })
      const obo = oboToken(auth, { graph: { scopes: [userRead], tools: ['my_profile'] } })
      const handler: express.RequestHandler = (req, res) => {
        reached.push(req.body)
        res.json({})
      }
      app.all('/mcp', gated, guard, handler)
      app.all('/parsed', express.json({ limit: '10mb', strict: false }), gated, guard, handler)
      app.all('/text', express.text({ type: '*/*', limit: '10mb' }), gated, guard, handler)
      app.all('/raw', express.raw({ type: '*/*', limit: '10mb' }), gated, guard, handler)
      app.all('/obo', gated, obo, handler)
      app.all('/copied', express.json(), copy, gated, guard, handler)
    },
  })
  reader = await entra.mintAccessToken({ user: bob, scopes: ['notes.read'] })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

/** As parsers do that fill an object key by key: `__proto__` becomes its prototype. */
const copy: express.RequestHandler = (req, _res, next) => {
  const copied: Record<string, unknown> = {}
  for (const key of Object.keys(req.body)) copied[key] = req.body[key]
  req.body = copied
  next()
}

const everywhere = ['/mcp', '/parsed', '/text', '/raw', '/obo'] as const
/** Where the text is still there to be read: `JSON.parse` of a parser in front has dropped the first of two members. */
const unparsed = everywhere.filter((path) => path !== '/parsed')

async function expectRefused(
  body: string,
  why: string,
  {
    paths = everywhere,
    id = null,
  }: { paths?: readonly string[]; id?: string | number | null } = {},
): Promise<void> {
  for (const path of paths) {
    for (const text of [body, `[${JSON.stringify(toolCall('list_notes'))},${body}]`]) {
      reached.length = 0
      const response = await post(gate.url + path, reader, text)
      expect({ path, status: response.status, body: await response.json(), reached }).toEqual({
        path,
        status: 400,
        body: { jsonrpc: '2.0', error: { code: -32600, message: `Invalid Request: ${why}` }, id },
        reached: [],
      })
    }
  }
}

const noName = 'The `name` of a tool is a string.'
const noMethod = 'The `method` is a string.'
const call = (params: string) => `{"jsonrpc":"2.0","id":7,"method":"tools/call","params":${params}}`

describe('a call without a name of its own', () => {
  it.each([
    '{}',
    'null',
    '"add_note"',
    '["add_note"]',
    '[{"name":"add_note"}]',
    '{"name":null}',
    '{"name":5}',
    '{"name":["add_note"]}',
    '{"name":{"0":"add_note"}}',
    '{"arguments":{"name":"add_note"}}',
    '{"name":"add_note\\ud800"}',
  ])('is refused, in a batch as well: params %s', async (params) => {
    await expectRefused(call(params), noName, { id: 7 })
  })

  it('is refused without params, and as a notification', async () => {
    await expectRefused('{"jsonrpc":"2.0","id":7,"method":"tools/call"}', noName, { id: 7 })
    await expectRefused('{"jsonrpc":"2.0","method":"tools/call","params":{"name":[]}}', noName)
  })

  it('does not get one from Object.prototype', async () => {
    const polluted = Object.prototype as { name?: string }
    Object.defineProperty(polluted, 'name', { value: 'list_notes', configurable: true })
    try {
      await expectRefused(call('{}'), noName, { id: 7 })
    } finally {
      delete polluted.name
    }
  })
})

describe('a message whose method is no text', () => {
  it.each(['["tools/call"]', '5', 'null', '{}', 'true', '"tools/call\\udc00"'])(
    'is refused: %s',
    async (method) => {
      const message = `{"id":7,"method":${method},"params":{"name":"add_note"}}`
      await expectRefused(message, noMethod, { id: 7 })
    },
  )

  it('is refused when it has none, and is no response', async () => {
    await expectRefused('{"id":7,"params":{"name":"add_note"}}', noMethod, { id: 7 })
    await expectRefused('{}', noMethod)
  })

  it.each(['Tools/Call', 'TOOLS/CALL', ' tools/call', 'tools/call\\n'])(
    'or tools/call in another spelling (%j) is refused',
    async (method) => {
      const message = `{"id":7,"method":"${method}","params":{"name":"add_note"}}`
      await expectRefused(message, 'Write the method as `tools/call`.', { id: 7 })
    },
  )
})

describe('a member __proto__', () => {
  const why = 'There is a member __proto__.'

  it.each([
    call('{"__proto__":{"name":"add_note","arguments":{}}}'),
    call('{"name":"list_notes","__proto__":{"name":"add_note"}}'),
    call('{"name":"list_notes","arguments":{"a":[{"__proto__":{}}]}}'),
    call('{"name":"list_notes","\\u005f\\u005fproto__":1}'),
    '{"id":7,"__proto__":{"method":"tools/call","params":{"name":"add_note"}}}',
    '{"id":7,"method":"ping","__proto__":null}',
    '{"id":7,"result":{"__proto__":1}}',
  ])('is refused, however deep, whatever the method: %s', async (message) => {
    await expectRefused(message, why)
  })

  it.each([
    [
      '{"id":7,"result":{},"__proto__":{"method":"tools/call","params":{"name":"add_note"}}}',
      noMethod,
    ],
    ['{"id":7,"method":"tools/call","__proto__":{"params":{"name":"add_note"}}}', noName],
  ])('that a parser in front has made a prototype of is refused as well: %s', async (body, why) => {
    reached.length = 0
    const response = await post(`${gate.url}/copied`, reader, body)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { message: `Invalid Request: ${why}` } })
    expect(reached).toEqual([])
  })

  it('that is no member, but a value or part of a name, is let through', async () => {
    const body = call(
      '{"name":"list_notes","arguments":{"a":"__proto__","constructor":{},"b__proto__":1}}',
    )
    for (const path of everywhere) {
      expect((await post(gate.url + path, reader, body)).status).toBe(200)
    }
  })
})

describe('a member that is there twice', () => {
  it.each([
    call('{"name":"add_note","name":"list_notes"}'),
    call('{"name":"list_notes","n\\u0061me":"add_note"}'),
    call('{"name":"add_note"},"params":{"name":"list_notes"}'),
    '{"id":7,"method":"ping","method":"tools/call","params":{"name":"add_note"}}',
    '{"id":7,"method":"tools/call","params":{"name":"add_note"},"method":"ping"}',
    call('{"name":"list_notes","arguments":{"a":[{"b":1,"b":2}]}}'),
  ])('is refused where its text is read: %s', async (message) => {
    await expectRefused(message, 'A member is there twice.', { paths: unparsed })
  })

  it('is what the parser in front made of it: the transport gets the same object', async () => {
    reached.length = 0
    const last = call('{"name":"list_notes","name":"add_note"}')
    expect((await post(`${gate.url}/parsed`, reader, last)).status).toBe(403)
    const first = call('{"name":"add_note","name":"list_notes"}')
    expect((await post(`${gate.url}/parsed`, reader, first)).status).toBe(200)
    expect(reached).toEqual([
      { jsonrpc: '2.0', id: 7, method: 'tools/call', params: { name: 'list_notes' } },
    ])
  })
})

describe('a member in other letters', () => {
  it.each([
    ['method', '{"id":7,"Method":"tools/call","params":{"name":"add_note"}}'],
    ['method', '{"id":7,"method":"ping","METHOD":"tools/call","params":{"name":"add_note"}}'],
    [
      'params',
      '{"id":7,"method":"tools/call","params":{"name":"list_notes"},"PARAMS":{"name":"add_note"}}',
    ],
    [
      'params',
      '{"id":7,"method":"tools/call","params":{"name":"list_notes"},"param\u017f":{"name":"add_note"}}',
    ],
    ['name', call('{"name":"list_notes","Name":"add_note"}')],
  ])('is refused, for there are parsers that take it for %s: %s', async (member, message) => {
    await expectRefused(message, `Spell \`${member}\` exactly so.`, { id: 7 })
  })

  it("is nobody's business in the arguments", async () => {
    const body = call('{"name":"list_notes","arguments":{"Name":1,"Method":2,"Params":3}}')
    expect((await post(`${gate.url}/mcp`, reader, body)).status).toBe(200)
  })
})

describe('a batch', () => {
  it.each([
    `[[${call('{"name":"add_note"}')}]]`,
    `[${call('{"name":"list_notes"}')},[${call('{"name":"add_note"}')}]]`,
    '[null]',
    '["tools/call"]',
    '[5]',
  ])('of anything but messages is refused: %s', async (body) => {
    for (const path of everywhere) {
      reached.length = 0
      const response = await post(gate.url + path, reader, body)
      expect({ status: response.status, body: await response.json(), reached }).toEqual({
        status: 400,
        body: {
          jsonrpc: '2.0',
          error: { code: -32600, message: 'Invalid Request: A message is an object.' },
          id: null,
        },
        reached: [],
      })
    }
  })

  it('has a hundred messages at most', async () => {
    const batch = (length: number) => Array.from({ length }, (_, id) => toolCall('list_notes', id))
    for (const path of everywhere) {
      expect((await post(gate.url + path, reader, batch(100))).status).toBe(200)
      const response = await post(gate.url + path, reader, batch(101))
      expect(response.status).toBe(413)
      expect(await response.json()).toMatchObject({
        error: { code: -32600, message: 'A batch has 100 messages at most.' },
      })
    }
  })
})

describe('a body that costs more than it says', () => {
  it.each([
    [
      'more than 64 levels',
      `${'['.repeat(200_000)}${']'.repeat(200_000)}`,
      'There are more than 64 levels.',
    ],
    ['a million arrays', `[${'[],'.repeat(1_000_000)}[]]`, 'There are more than 100000 values.'],
    [
      'more members than anybody needs',
      call(
        `{"name":"list_notes","arguments":{${Array.from({ length: 30_000 }, (_, i) => `"k${i}":0`).join()}}}`,
      ),
      'There are more than 25000 members.',
    ],
  ])('with %s is refused with 413, parsed or not', async (_name, body, message) => {
    for (const path of everywhere) {
      const response = await post(gate.url + path, reader, body)
      expect({ path, status: response.status, body: await response.json() }).toEqual({
        path,
        status: 413,
        body: { jsonrpc: '2.0', error: { code: -32600, message }, id: null },
      })
    }
  })
})

describe('a body in another encoding', () => {
  const body = JSON.stringify(toolCall('add_note'))
  const send = (path: string, bytes: Buffer, headers: Record<string, string>) =>
    ask(gate.url + path, reader, { method: 'POST', headers, body: new Uint8Array(bytes) })

  it.each(['utf-16', 'utf-16le', 'utf-7', 'iso-8859-1', '"UTF-16"', 'utf-8; charset=utf-16', ''])(
    'is refused with 415: charset=%s',
    async (charset) => {
      const headers = { 'content-type': `application/json; charset=${charset}` }
      for (const path of ['/mcp', '/obo']) {
        const response = await send(path, Buffer.from(body, 'utf16le'), headers)
        expect({ status: response.status, body: await response.json() }).toEqual({
          status: 415,
          body: {
            jsonrpc: '2.0',
            error: { code: -32700, message: 'Send JSON in UTF-8, uncompressed.' },
            id: null,
          },
        })
      }
    },
  )

  it.each(['utf-8', 'UTF-8', 'utf8', '"utf-8"'])(
    'is judged as UTF-8: charset=%s',
    async (charset) => {
      const headers = { 'content-type': `application/json;charset=${charset}` }
      for (const path of ['/mcp', '/raw']) {
        expect((await send(path, Buffer.from(body), headers)).status).toBe(403)
      }
    },
  )

  it('is judged after a parser that knows the charset has decoded it', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-16' }
    const bytes = Buffer.from(body, 'utf16le')
    expect((await send('/parsed', bytes, headers)).status).toBe(403)
    expect((await send('/text', bytes, headers)).status).toBe(403)
    expect((await send('/raw', bytes, headers)).status).toBe(415)
  })

  it('is refused when its bytes are no UTF-8', async () => {
    const bytes = Buffer.concat([
      Buffer.from(body.slice(0, -1)),
      Buffer.from(',"a":"\xff"}', 'latin1'),
    ])
    for (const path of ['/mcp', '/raw', '/obo']) {
      const response = await send(path, bytes, { 'content-type': 'application/json' })
      expect(response.status).toBe(400)
      expect(await response.json()).toMatchObject({
        error: { code: -32700, message: 'Parse error: The body is not UTF-8.' },
      })
    }
  })

  it.each(['gzip', 'br', 'x-custom', 'gzip, identity'])(
    'is refused with 415: %s',
    async (encoding) => {
      const headers = { 'content-type': 'application/json', 'content-encoding': encoding }
      const response = await send('/mcp', Buffer.from(body), headers)
      expect(response.status).toBe(415)
      expect(await response.json()).toMatchObject({
        error: { message: 'Send JSON in UTF-8, uncompressed.' },
      })
    },
  )

  it('is judged where a parser in front inflates it, and where it says that it is not compressed', async () => {
    const { gzipSync } = await import('node:zlib')
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
    for (const path of ['/parsed', '/text', '/raw']) {
      expect((await send(path, gzipSync(body), headers)).status).toBe(403)
    }
    const plain = { ...headers, 'content-encoding': 'identity' }
    expect((await send('/mcp', Buffer.from(body), plain)).status).toBe(403)
  })
})

describe('a body of another method than POST', () => {
  it.each(['PUT', 'PATCH', 'DELETE', 'QUERY', 'OPTIONS'])(
    'of %s is judged like any: a handler may go by it',
    async (method) => {
      for (const path of ['/mcp', '/parsed', '/text', '/raw']) {
        reached.length = 0
        const response = await ask(gate.url + path, reader, {
          method,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(toolCall('add_note')),
        })
        expect([path, response.status, reached]).toEqual([path, 403, []])
      }
    },
  )

  it('of GET is, too, with a length or in chunks', async () => {
    const { send } = await import('../support/http-server.js')
    const body = JSON.stringify(toolCall('add_note'))
    for (const path of ['/mcp', '/parsed', '/text', '/raw']) {
      for (const framing of [
        { 'content-length': body.length },
        { 'transfer-encoding': 'chunked' },
      ]) {
        const headers = {
          authorization: `Bearer ${reader}`,
          'content-type': 'application/json',
          ...framing,
        }
        const answer = await send(gate.url + path, { method: 'GET', headers }, [body])
        expect([path, answer.status]).toEqual([path, 403])
      }
    }
  })
})

it('is judged over HTTP/2 as well, where no header says that there is a body', async () => {
  const called: unknown[] = []
  const server = createServer(async (req, res) => {
    called.push(await calledTools(req as never))
    res.end()
  })
  await once(server.listen(0), 'listening')
  const client = connect(`http://localhost:${(server.address() as AddressInfo).port}`)
  const send = async (method: string, body?: string) => {
    const headers = { ':method': method, ':path': '/', 'content-type': 'application/json' }
    const stream = client.request(headers, { endStream: body === undefined })
    if (body !== undefined) stream.end(body)
    await once(stream.resume(), 'end')
  }
  await send('PUT', JSON.stringify(toolCall('add_note')))
  await send('GET')
  expect(called).toEqual([['add_note'], []])
  client.close()
  server.close()
})
