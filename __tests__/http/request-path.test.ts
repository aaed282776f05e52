/** The path of a request, in whichever form its target comes. */
import { once } from 'node:events'
import { request } from 'node:http'
import { expect, it } from '@jest/globals'
import { targetOf } from '../../lib/http/request-path.js'
import { hear, startProxy, startTestEntra } from '../support/proxy.js'

it.each([
  ['/token?a=b', '/token?a=b'],
  ['http://mcp.contoso.com/token?a=b', '/token?a=b'],
  ['HTTPS://mcp.contoso.com:8443/token', '/token'],
  ['http://mcp.contoso.com?a=b', '/?a=b'],
  ['http://mcp.contoso.com', '/'],
  ['//mcp.contoso.com/token', '//mcp.contoso.com/token'],
  ['*', '*'],
  ['x:/token', 'x:/token'],
])('of %s is %s', (originalUrl, target) => {
  expect(targetOf({ originalUrl } as never)).toBe(target)
})

it('is found in a whole URL, as RFC 9112 section 3.2.2 demands', async () => {
  const { url } = await startProxy(await startTestEntra())
  const { port } = new URL(url)
  const asked = request({ port, host: 'localhost', path: 'http://mcp.contoso.com/jwks' }).end()
  const [answer] = await once(asked, 'response')
  answer.resume()
  expect([answer.statusCode, answer.headers['content-type']]).toEqual([
    200,
    expect.stringContaining('json'),
  ])
})

it('is what an event names, and not the URL', async () => {
  const { url } = await startProxy(await startTestEntra())
  const { port } = new URL(url)
  const refusals = hear('mcp-entra:refusal')
  const path = 'http://mcp.contoso.com/token'
  const asked = request({ port, host: 'localhost', method: 'POST', path }).end()
  const [answer] = await once(asked, 'response')
  answer.resume()
  expect(refusals).toMatchObject([{ endpoint: '/token' }])
})
