/** What travels through other hands, changed by one bit, over HTTP: nothing of it is taken. */
import { Agent } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { formRequest } from '../../../examples/demo/browser.js'
import { bitFlips, forEachOf } from '../../support/fuzz.js'
import { authorizeUrl, pkce, postForm, register } from '../../support/oauth-client.js'
import {
  approve,
  openConsent,
  send as sendOnce,
  startProxy,
  startTestEntra,
  type TestProxy,
} from '../../support/proxy.js'

let proxy: TestProxy
beforeAll(async () => {
  proxy = await startProxy(await startTestEntra())
})

/** Connections for thousands of requests. */
const agent = new Agent({ keepAlive: true })
afterAll(() => agent.destroy())
const send: typeof sendOnce = (url, options) => sendOnce(url, { agent, ...options })

/** The one cookie of a family in a browser. */
async function cookieOf(
  browser: Awaited<ReturnType<typeof approve>>['browser'],
  family: string,
): Promise<{ key: string; value: string }> {
  const cookies = await browser.jar.getCookies(proxy.url)
  const found = cookies.find(({ key }) => key.startsWith(family))
  if (!found) throw new Error(`no cookie ${family}`)
  return found
}

const form = { 'content-type': 'application/x-www-form-urlencoded' }

describe('one flipped bit', () => {
  it('in the sealed request of the consent form: refused, whichever bit it is', async () => {
    const { browser, page } = await openConsent(proxy.url)
    const [url, init] = formRequest(page, 'deny')
    const fields = init.body as URLSearchParams
    const { key, value } = await cookieOf(browser, 'mcp-entra-consent')
    const post = (request: string) => {
      const body = new URLSearchParams(fields)
      body.set('request', request)
      const headers = { ...form, cookie: `${key}=${value}` }
      return send(url, { method: 'POST', headers, body: body.toString() })
    }
    const statuses = new Set<number>()
    let tried = 0
    await forEachOf(bitFlips(fields.get('request') ?? ''), async (request) => {
      tried++
      const { status, headers } = await post(request)
      statuses.add(status)
      expect(headers.location).toBeUndefined()
    })
    expect(tried).toBeGreaterThan(2000)
    expect([...statuses]).toEqual([403])
    expect((await post(fields.get('request') ?? '')).status).toBe(303)
  }, 120_000)

  it('in the cookie of the consent form: refused, whichever bit it is', async () => {
    const { browser, page } = await openConsent(proxy.url)
    const [url, init] = formRequest(page, 'deny')
    const { key, value } = await cookieOf(browser, 'mcp-entra-consent')
    const [time = '', secret = ''] = value.split('.')
    const body = String(init.body)
    const post = (text: string) =>
      send(url, { method: 'POST', headers: { ...form, cookie: `${key}=${time}.${text}` }, body })
    const statuses = new Set<number>()
    await forEachOf(bitFlips(secret), async (flipped) => {
      statuses.add((await post(flipped)).status)
    })
    expect([...statuses]).toEqual([403])
    expect((await post(secret)).status).toBe(303)
  }, 120_000)

  it('in the login cookie: refused at the callback, whichever bit it is', async () => {
    const { browser, state } = await approve(proxy.url)
    const { key, value } = await cookieOf(browser, 'mcp-entra-login')
    const [time = '', box = ''] = value.split('.')
    const url = `${proxy.url}/auth/callback?error=access_denied&state=${state}`
    const ask = (text: string) => send(url, { headers: { cookie: `${key}=${time}.${text}` } })
    const statuses = new Set<number>()
    let tried = 0
    await forEachOf(bitFlips(box), async (flipped) => {
      tried++
      statuses.add((await ask(flipped)).status)
    })
    expect(tried).toBeGreaterThan(2000)
    expect([...statuses]).toEqual([403])
    expect((await ask(box)).status).toBe(302)
  }, 120_000)

  it('in the state of a login: refused at the callback, whichever bit it is', async () => {
    const { browser, state } = await approve(proxy.url)
    const { key, value } = await cookieOf(browser, 'mcp-entra-login')
    const statuses = new Set<number>()
    await forEachOf(bitFlips(state), async (flipped) => {
      // The cookie of one state under the name another state looks for.
      const cookie = `${key}=${value}; mcp-entra-login-${flipped.slice(0, 22)}=${value}`
      const url = `${proxy.url}/auth/callback?error=access_denied&state=${flipped}`
      statuses.add((await send(url, { headers: { cookie } })).status)
    })
    expect([...statuses]).toEqual([403])
  }, 120_000)

  it('in a client id: a page at /authorize and invalid_client at /token, whichever bit it is', async () => {
    const clientId = await register(proxy.url)
    const { challenge } = pkce()
    const answers = new Set<string>()
    await forEachOf(bitFlips(clientId), async (id) => {
      const { status, headers } = await send(authorizeUrl(proxy.url, id, challenge))
      const token = await postForm(`${proxy.url}/token`, { client_id: id, grant_type: 'x' })
      const { error } = (await token.json()) as { error: string }
      answers.add(`${status} ${headers.location} ${token.status} ${error}`)
    })
    expect([...answers]).toEqual(['400 undefined 401 invalid_client'])
  }, 120_000)
})
