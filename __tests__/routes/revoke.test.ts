/** Revocation (RFC 7009): revokes the whole login of a refresh token, or one access token. */
import { setTimeout as wait } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from '@jest/globals'
import { memoryStorage } from 'mcp-entra'
import type { Entra } from '../support/host.js'
import {
  ada,
  getNotes,
  login,
  postForm,
  refresh,
  register,
  type Tokens,
} from '../support/oauth-client.js'
import {
  hear,
  jsonOf,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
let replica: TestProxy
beforeAll(async () => {
  entra = await startTestEntra()
  const storage = memoryStorage()
  proxy = await startProxy(entra, { storage })
  replica = await startProxy(entra, { storage, baseUrl: proxy.url })
})

const revoke = (token: string, clientId: string, more: Record<string, string> = {}) =>
  postForm(`${proxy.url}/revoke`, { token, client_id: clientId, ...more })

async function expectDone(response: Response): Promise<void> {
  expect(response.status).toBe(200)
  expect(response.headers.get('cache-control')).toBe('no-store')
  expect(response.headers.get('access-control-allow-origin')).toBe('*')
  expect(await response.text()).toBe('')
}

const status = async (at: TestProxy, token: string) => (await getNotes(at.address, token)).status

describe('a refresh token', () => {
  it('ends the login on every replica within a second, busy tokens included', async () => {
    const session = await login(proxy.url)
    const next = (await (await refresh(proxy.url, session)).json()) as Tokens
    expect(await status(proxy, next.access_token)).toBe(200)
    expect(await status(replica, next.access_token)).toBe(200)
    expect(await status(replica, session.access_token)).toBe(200)
    const revocations = hear('mcp-entra:revocation')
    await expectDone(await revoke(next.refresh_token, session.clientId))
    expect(revocations).toMatchObject([
      { reason: 'client', token: 'refresh_token', user: { oid: ada } },
    ])
    await wait(1010)
    for (const at of [proxy, replica]) {
      expect(await status(at, next.access_token)).toBe(401)
      expect(await status(at, session.access_token)).toBe(401)
      const response = await refresh(at.address, { ...next, clientId: session.clientId })
      expect(response.status).toBe(400)
      expect(await jsonOf(response)).toMatchObject({ error: 'invalid_grant' })
    }
  })

  it('that has been used before ends the login as well', async () => {
    const session = await login(proxy.url)
    const next = (await (await refresh(proxy.url, session)).json()) as Tokens
    await expectDone(await revoke(session.refresh_token, session.clientId))
    const response = await refresh(proxy.url, { ...next, clientId: session.clientId })
    expect(response.status).toBe(400)
  })
})

describe('an access token', () => {
  it('ends only itself, on every replica: other tokens of its login stay valid', async () => {
    const session = await login(proxy.url)
    const next = (await (await refresh(proxy.url, session)).json()) as Tokens
    for (const at of [proxy, replica]) {
      expect(await status(at, session.access_token)).toBe(200)
      expect(await status(at, next.access_token)).toBe(200)
    }
    await expectDone(
      await revoke(next.access_token, session.clientId, { token_type_hint: 'access_token' }),
    )
    await wait(1010)
    for (const at of [proxy, replica]) {
      expect(await status(at, next.access_token)).toBe(401)
      expect(await status(at, session.access_token)).toBe(200)
    }
    const response = await refresh(proxy.url, { ...next, clientId: session.clientId })
    const third = (await response.json()) as Tokens
    expect(await status(replica, third.access_token)).toBe(200)
    expect(await status(replica, next.access_token)).toBe(401)
  })

  it('of a login that has ended is accepted, and answered with 200', async () => {
    const session = await login(proxy.url)
    await expectDone(await revoke(session.refresh_token, session.clientId))
    await expectDone(await revoke(session.access_token, session.clientId))
  })
})

describe('a hint', () => {
  it.each(['refresh_token', 'nonsense', '__proto__'])(
    'that is wrong (%s) does no harm',
    async (hint) => {
      const session = await login(proxy.url)
      await expectDone(
        await revoke(session.access_token, session.clientId, { token_type_hint: hint }),
      )
      expect(await status(replica, session.access_token)).toBe(401)
    },
  )
})

describe('a token that is not there', () => {
  it.each(['unknown', 'a.b.c', '__proto__', 'eyJhbGciOiJub25lIn0.e30.', 'x'.repeat(8192)])(
    'is answered like any other (RFC 7009 section 2.2): %.20s',
    async (token) => {
      await expectDone(await revoke(token, await register(proxy.url)))
    },
  )

  it("so is one of Entra's own, and a token with a broken signature", async () => {
    const session = await login(proxy.url)
    await expectDone(await revoke(await entra.mintAccessToken(), session.clientId))
    const forged = `${session.access_token.slice(0, -6)}AAAAAA`
    await expectDone(await revoke(forged, session.clientId))
    expect(await status(replica, session.access_token)).toBe(200)
  })
})

describe('a token that is good elsewhere', () => {
  it('of another server with the same keys revokes nothing here', async () => {
    const other = await startProxy(entra)
    const session = await login(other.url)
    await expectDone(await revoke(session.access_token, session.clientId))
    await expectDone(await revoke(session.refresh_token, session.clientId))
    expect(await status(other, session.access_token)).toBe(200)
    expect((await refresh(other.url, session)).status).toBe(200)
  })

  it('that has expired revokes nothing', async () => {
    const clock = testClock()
    const later = await startProxy(entra, { now: clock.now })
    const session = await login(later.url)
    clock.advance(3601)
    const params = { token: session.access_token, client_id: session.clientId }
    await expectDone(await postForm(`${later.url}/revoke`, params))
    entra.setTime(clock.now() / 1000)
    expect((await refresh(later.url, session)).status).toBe(200)
    entra.setTime(Date.now() / 1000)
  })
})

describe('who may revoke', () => {
  it('is the client the token was issued to', async () => {
    const session = await login(proxy.url)
    const stranger = await register(proxy.url)
    for (const token of [session.access_token, session.refresh_token]) {
      const response = await revoke(token, stranger)
      expect(response.status).toBe(400)
      expect(await jsonOf(response)).toEqual({
        error: 'invalid_grant',
        error_description: 'The token was not issued to this client.',
      })
    }
    expect(await status(replica, session.access_token)).toBe(200)
    expect((await refresh(proxy.url, session)).status).toBe(200)
  })

  it('is not an unknown client', async () => {
    const session = await login(proxy.url)
    for (const clientId of ['unknown', '']) {
      const response = await revoke(session.refresh_token, clientId)
      expect(response.status).toBe(401)
      expect(await jsonOf(response)).toMatchObject({ error: 'invalid_client' })
    }
    expect((await refresh(proxy.url, session)).status).toBe(200)
  })

  it('names a token', async () => {
    const response = await revoke('', await register(proxy.url))
    expect(response.status).toBe(400)
    expect(await jsonOf(response)).toMatchObject({ error: 'invalid_request' })
  })
})
