/** Step-up: which refreshes are refused after a 403, and what a refresh that names scopes brings. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { type EntraScopesOptions, entraScopes, memoryStorage } from 'mcp-entra'
import type { Entra } from '../support/host.js'
import {
  addNote,
  challengeParams,
  getNotes,
  login,
  refresh,
  type Tokens,
} from '../support/oauth-client.js'
import { jsonOf, startProxy, startTestEntra, type TestProxy, testClock } from '../support/proxy.js'

const clock = testClock()
const storage = memoryStorage({ now: clock.now })

let entra: Entra
/** No scope implies another here. */
let proxy: TestProxy

function options(scopes: Partial<EntraScopesOptions> = {}) {
  const { clientId } = entra.app
  const all = { clientId, required: ['notes.read'], optional: ['notes.write'], ...scopes }
  return { now: clock.now, storage, scopes: entraScopes(all) }
}

beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, options())
})

type Session = Tokens & { clientId: string }

async function refreshed(session: Session, more: Record<string, string> = {}): Promise<Session> {
  const response = await refresh(proxy.url, session, more)
  const body = await jsonOf<Tokens>(response)
  expect({ status: response.status, body }).toMatchObject({ status: 200 })
  return { ...body, clientId: session.clientId }
}

async function expectStepUp(response: Response): Promise<void> {
  expect(response.status).toBe(400)
  expect(await jsonOf(response)).toEqual({
    error: 'interaction_required',
    error_description: 'More scopes are needed. Authorize again.',
  })
}

const both = { scope: 'notes.read notes.write' }
const add = ({ access_token }: Tokens) => addNote(proxy.url, access_token, 'x')
const list = ({ access_token }: Tokens) => getNotes(proxy.url, access_token)

describe('a 403 for a scope that the login lacks', () => {
  it('makes a refresh answer interaction_required, and a login for the challenged scopes helps', async () => {
    const session = await login(proxy.url)
    const refusal = await add(session)
    expect(refusal.status).toBe(403)
    await expectStepUp(await refresh(proxy.url, session))
    const { scope = '' } = challengeParams(refusal)
    const more = await login(proxy.url, { clientId: session.clientId, scope })
    expect((await add(more)).status).toBe(201)
    await refreshed(more)
  })

  it('counts no longer than the refused token lives', async () => {
    const brief = await startProxy(entra, { ...options(), lifetimes: { accessToken: 20 } })
    const session = await login(brief.url)
    expect((await addNote(brief.url, session.access_token, 'x')).status).toBe(403)
    await expectStepUp(await refresh(brief.url, session))
    clock.advance(20)
    expect((await refresh(brief.url, session)).status).toBe(200)
  })

  it('counts for the scopes of OpenID Connect alone, which name none of ours', async () => {
    const session = await login(proxy.url)
    expect((await add(session)).status).toBe(403)
    await expectStepUp(await refresh(proxy.url, session, { scope: 'openid email profile' }))
    await expectStepUp(await refresh(proxy.url, session, { scope: '' }))
  })

  it('counts for all who refresh, after twenty refusals at once', async () => {
    const session = await login(proxy.url)
    const refusals = await Promise.all(Array.from({ length: 20 }, () => add(session)))
    expect(new Set(refusals.map(({ status }) => status))).toEqual(new Set([403]))
    const answers = await Promise.all([1, 2, 3].map(() => refresh(proxy.url, session)))
    for (const answer of answers) await expectStepUp(answer)
  })

  it('does not count once the login holds the scope, by whatever way', async () => {
    const session = await login(proxy.url)
    expect((await add(session)).status).toBe(403)
    const generous = options({ implies: { 'notes.read': ['notes.write'] } })
    proxy.restart(generous)
    await refreshed(session)
    proxy.restart(options())
  })
})

describe('a 403 for a scope that the login holds', () => {
  it('leaves the refresh alone: a narrowed token is widened by it', async () => {
    const session = await login(proxy.url, both)
    const narrow = await refreshed(session, { scope: 'notes.read' })
    expect((await add(narrow)).status).toBe(403)
    const wide = await refreshed(narrow)
    expect(wide.scope).toBe('notes.read notes.write')
    expect((await add(wide)).status).toBe(201)
  })
})

describe('scope at a refresh', () => {
  it('brings the required scopes along, as a login does', async () => {
    const session = await login(proxy.url, { scope: 'notes.write' })
    expect(session.scope).toBe('notes.write notes.read')
    const narrow = await refreshed(session, { scope: 'notes.write' })
    expect(narrow.scope).toBe('notes.write notes.read')
    expect((await list(narrow)).status).toBe(200)
    expect((await add(narrow)).status).toBe(201)
    expect((await refreshed(narrow)).scope).toBe('notes.write notes.read')
  })

  it('that names none of ours keeps all that was granted', async () => {
    const session = await login(proxy.url, both)
    const next = await refreshed(session, { scope: 'openid email profile' })
    expect(next.scope).toBe('notes.read notes.write')
  })

  it('is not refused for a required scope that came after the login, but told so by the gate', async () => {
    const session = await login(proxy.url, both)
    proxy.restart(options({ required: ['notes.read', 'profile.read'] }))
    const next = await refreshed(session, { scope: 'notes.write' })
    expect(next.scope).toBe('notes.write notes.read')
    const refusal = await list(next)
    expect(refusal.status).toBe(403)
    expect(challengeParams(refusal).scope).toBe('notes.write notes.read profile.read')
    await expectStepUp(await refresh(proxy.url, next))
    proxy.restart(options())
  })

  it('is refused for an optional scope that was not granted, however the required ones came', async () => {
    const session = await login(proxy.url)
    const response = await refresh(proxy.url, session, { scope: 'notes.write' })
    expect([response.status, (await jsonOf(response)).error]).toEqual([400, 'invalid_scope'])
  })
})
