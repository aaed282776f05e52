/** Challenges as the clients read them: with the parsers of both generations of the SDK. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { extractWWWAuthenticateParams as parseV2 } from '@modelcontextprotocol/client'
import { extractWWWAuthenticateParams as parseV1 } from '@modelcontextprotocol/sdk/client/auth.js'
import type { RequestHandler } from 'express'
import fc from 'fast-check'
import { requireBearer, scopeGuard } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import { bearerChallenge } from '../../../lib/oauth/challenge.js'
import { bounded } from '../../support/fuzz.js'
import { ask, startGate, type TestGate } from '../../support/gate.js'
import type { Entra } from '../../support/host.js'

let entra: Entra
let gate: TestGate
beforeAll(async () => {
  entra = await startEntra()
  gate = await startGate(entra, {
    mount(app, auth) {
      const ok: RequestHandler = (_req, res) => void res.end()
      app.get('/mcp', requireBearer(auth), ok)
      app.get('/write', requireBearer(auth), scopeGuard('notes.write'), ok)
    },
  })
})
afterAll(async () => {
  await gate.close()
  await entra.close()
})

const parsers = [
  ['SDK v1', parseV1],
  ['SDK v2', parseV2],
] as const

function asResponse(challenge: string): Response {
  return new Response(null, { status: 401, headers: { 'www-authenticate': challenge } })
}

describe.each(parsers)('%s', (_name, parse) => {
  it('reads error, scope and metadata of a challenge as they went in', () => {
    // RFC 6749 section 3.3 without what a scope of Entra never has: quotes, commas and equals signs.
    const token = fc.string({ unit: fc.constantFrom(...'abzAZ09._-:/~+!*'), minLength: 1 })
    const scope = fc.array(token, { minLength: 1, maxLength: 5 }).map((list) => list.join(' '))
    const path = fc.array(fc.constantFrom('a', 'mcp', 'x-y', '%20'), { maxLength: 4 })
    const code = fc.constantFrom('invalid_token', 'insufficient_scope', 'insufficient_claims')
    const description = fc.string({ unit: 'binary', maxLength: 80 })
    fc.assert(
      fc.property(code, description, scope, path, (error, words, names, segments) => {
        // Our descriptions never hold `name=`; quotes, backslashes and line breaks they might.
        const said = words.replaceAll('=', '')
        const metadata = `https://mcp.example/.well-known/oauth-protected-resource/${segments.join('/')}`
        const challenge = bearerChallenge({
          error,
          error_description: said,
          scope: names,
          resource_metadata: metadata,
        })
        const { resourceMetadataUrl, ...rest } = parse(asResponse(challenge))
        expect({ ...rest, url: resourceMetadataUrl?.href }).toMatchObject({
          error,
          scope: names,
          url: metadata,
        })
      }),
      bounded,
    )
  })

  it('reads the challenges of the gate', async () => {
    const url = `${gate.url}/.well-known/oauth-protected-resource/mcp`
    const read = (response: Response) => {
      const { resourceMetadataUrl, scope, error } = parse(response)
      return { url: resourceMetadataUrl?.href, scope, error }
    }
    expect(read(await ask(`${gate.url}/mcp`))).toEqual({ url, scope: 'notes.read' })
    expect(read(await ask(`${gate.url}/mcp`, 'a.b.c'))).toEqual({
      url,
      scope: 'notes.read',
      error: 'invalid_token',
    })
    const reader = await entra.mintAccessToken({ scopes: ['notes.read'] })
    expect(read(await ask(`${gate.url}/write`, reader))).toEqual({
      url,
      scope: 'notes.read notes.write',
      error: 'insufficient_scope',
    })
  })
})
