/** Answers of Entra, and requests, that are right and rare. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { clientSecret, entraAuth, entraScopes, oauthRoutes } from 'mcp-entra'
import { listen, startWorld, testKeys, type World } from '../support/host.js'
import {
  addNote,
  getNotes,
  login,
  postJson,
  redirectUri,
  refresh,
} from '../support/oauth-client.js'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterEach(() => world.entra.clearFaults())
afterAll(() => world.close())

describe('a refresh', () => {
  it('keeps the refresh token and the scopes Entra does not mention (RFC 6749 sections 5.1 and 6)', async () => {
    const { entra, url } = world
    const tokens = await login(url, { scope: 'notes.read notes.write' })
    const access_token = await entra.mintAccessToken({
      user: 'ada@contoso.example',
      scopes: ['notes.read', 'notes.write'],
    })
    const body = JSON.stringify({ token_type: 'Bearer', expires_in: 3600, access_token })
    const done = entra.fault({ at: 'token', grant: 'refresh_token', status: 200, body })
    const first = await refresh(url, tokens)
    expect(first.status).toBe(200)
    const second = (await first.json()) as typeof tokens
    expect(second.scope).toBe('notes.read notes.write')
    expect((await addNote(url, second.access_token, 'still here')).status).toBe(201)
    done()
    const third = await refresh(url, { ...second, clientId: tokens.clientId })
    expect(third.status).toBe(200)
  })

  it('is a 503 while a new signing key of Entra cannot be had, and works afterwards', async () => {
    const { entra, url } = world
    const tokens = await login(url)
    await entra.rotateKeys()
    entra.fault({ at: 'keys', status: 503 })
    const failed = await refresh(url, tokens)
    expect(failed.status).toBe(503)
    expect(failed.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect(await failed.json()).toMatchObject({ error: 'temporarily_unavailable' })
    expect((await getNotes(url, tokens.access_token)).status).toBe(200)
  })
})

describe('a registration', () => {
  it('that names only scopes there are not is told of none', async () => {
    const response = await postJson(`${world.url}/register`, {
      redirect_uris: [redirectUri],
      scope: 'files.read files.write',
    })
    expect(response.status).toBe(201)
    expect(await response.json()).not.toHaveProperty('scope')
  })
})

describe('an MCP endpoint at the root of its host', () => {
  it('has its metadata at the root, and the base URL for its name', async () => {
    const { entra } = world
    const host = await listen((url) =>
      express().use(
        oauthRoutes(
          entraAuth({
            baseUrl: url,
            tenantId: entra.tenant.id,
            clientId: entra.app.clientId,
            credential: clientSecret('notes-mcp-secret'),
            authorityHost: entra.url,
            keys: testKeys,
            resources: ['/'],
            scopes: entraScopes({ clientId: entra.app.clientId, required: ['notes.read'] }),
          }),
        ),
      ),
    )
    const response = await fetch(`${host.url}/.well-known/oauth-protected-resource`)
    expect(await response.json()).toMatchObject({ resource: host.url })
    await host.close()
  })
})
