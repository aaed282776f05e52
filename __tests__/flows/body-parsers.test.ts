/** Applications that parse bodies before us, in Express 5, Express 4 and Connect: all of it works all the same. */
import { createRequire } from 'node:module'
import { beforeAll, describe, expect, it } from '@jest/globals'
import connect from 'connect'
import express5 from 'express'
import { entraAuth, oauthRoutes, requireBearer, scopeGuard } from 'mcp-entra'
import { type Entra, listen } from '../support/host.js'
import {
  addNote,
  getCode,
  getNotes,
  postForm,
  postJson,
  redeem,
  redirectUri,
  refresh,
  type Tokens,
} from '../support/oauth-client.js'
import { authOptions, jsonOf, send, startTestEntra } from '../support/proxy.js'

/** As Express 5 has it, for what is used of it here. */
const express4 = createRequire(import.meta.url)('express4') as typeof express5

/** What Express and Connect have in common. */
interface App {
  // biome-ignore lint/suspicious/noExplicitAny: middlewares of three frameworks, each with its own types
  use(...middleware: any[]): unknown
}

const frameworks: Record<string, () => App> = {
  'Express 5': () => express5(),
  'Express 4': () => express4(),
  Connect: () => connect(),
}

/** A database look-up, say: the body may have arrived whole before anybody reads it. */
const pause = (_req: unknown, _res: unknown, next: () => void) => void setTimeout(next, 20)

const parsers: Record<string, (express: typeof express5) => unknown[]> = {
  'no parser': () => [],
  'a pause': () => [pause],
  'express.json': ({ json }) => [json()],
  'express.json and a pause': ({ json }) => [json(), pause],
  'express.urlencoded, extended': ({ urlencoded }) => [urlencoded({ extended: true })],
  'express.urlencoded, simple': ({ urlencoded }) => [urlencoded({ extended: false })],
  'both and a pause': ({ json, urlencoded }) => [json(), urlencoded({ extended: true }), pause],
  'express.text': ({ text }) => [text({ type: '*/*' })],
  'express.raw': ({ raw }) => [raw({ type: '*/*' })],
}

let entra: Entra
beforeAll(async () => {
  entra = await startTestEntra()
})

async function startApp(make: () => App, middlewares: readonly unknown[]) {
  return listen((url) => {
    entra.addRedirectUri(`${url}/auth/callback`)
    const auth = entraAuth(authOptions(entra, url, []))
    const app = make()
    for (const middleware of middlewares) app.use(middleware)
    app.use(oauthRoutes(auth))
    app.use('/api', requireBearer(auth))
    app.use('/api/notes', (req: { method: string }, res: unknown, next: () => void) =>
      req.method === 'GET' ? next() : scopeGuard('notes.write')(req as never, res as never, next),
    )
    app.use('/api/notes', (_req: unknown, res: { end(text: string): void }) => res.end('{}'))
    return app as never
  })
}

const cases = Object.entries(frameworks).flatMap(([framework, make]) =>
  Object.entries(parsers).map(([parser, middlewares]) => {
    const express = framework === 'Express 4' ? express4 : express5
    return { framework, parser, make, middlewares: middlewares(express) }
  }),
)

describe.each(cases)('$framework with $parser', ({ make, middlewares }) => {
  it('carries the whole journey', async () => {
    const app = await startApp(make, middlewares)
    const code = await getCode(app.url, { scope: 'notes.read notes.write' })
    const answer = await redeem(app.url, code)
    expect(answer.status).toBe(200)
    const tokens = await jsonOf<Tokens>(answer)
    expect((await getNotes(app.url, tokens.access_token)).status).toBe(200)
    expect((await addNote(app.url, tokens.access_token, 'x')).status).toBe(200)
    const session = { ...tokens, clientId: code.clientId }
    const next = await jsonOf<Tokens>(await refresh(app.url, session))
    const revoked = await postForm(`${app.url}/revoke`, {
      token: next.refresh_token,
      client_id: code.clientId,
    })
    expect(revoked.status).toBe(200)
    expect((await refresh(app.url, { ...next, clientId: code.clientId })).status).toBe(400)
    await app.close()
  })

  it('refuses duplicates, prototypes and junk as without one', async () => {
    const app = await startApp(make, middlewares)
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    for (const body of ['client_id=a&client_id=b', 'client_id[x]=a', '__proto__[client_id]=a']) {
      const answer = await send(`${app.url}/token`, { method: 'POST', headers: form, body })
      expect([400, 401]).toContain(answer.status)
      expect(JSON.parse(answer.body)).toEqual({
        error: expect.stringMatching(/^invalid_(request|client)$/),
        error_description: expect.any(String),
      })
    }
    const duplicate = await send(`${app.url}/token`, {
      method: 'POST',
      headers: form,
      body: 'client_id=a&client_id=b',
    })
    expect(JSON.parse(duplicate.body)).toMatchObject({ error: 'invalid_request' })
    const registration = await postJson(`${app.url}/register`, {
      redirect_uris: [redirectUri, 'javascript:alert(1)'],
    })
    expect(await jsonOf(registration)).toMatchObject({ error: 'invalid_redirect_uri' })
    await app.close()
  })
})

describe('a form for a JSON endpoint and the other way round', () => {
  it.each(cases)('$framework with $parser', async ({ make, middlewares }) => {
    const app = await startApp(make, middlewares)
    const json = await postJson(`${app.url}/token`, { client_id: 'a', grant_type: 'b' })
    expect(json.status).toBe(400)
    expect(await jsonOf(json)).toMatchObject({ error: 'invalid_request' })
    const form = await postForm(`${app.url}/register`, { redirect_uris: redirectUri })
    expect(form.status).toBe(400)
    expect(await jsonOf(form)).toMatchObject({ error: 'invalid_client_metadata' })
    await app.close()
  })
})
