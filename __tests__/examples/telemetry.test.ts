/** The example with OpenTelemetry: what it has exported when it ends. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { signIn, startEntra } from 'mcp-entra/testing'
import type { Entra } from '../support/host.js'
import { callMcp } from '../support/oauth-client.js'
import { environmentFor, killPrograms, printed, run } from '../support/programs.js'

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterEach(killPrograms)
afterAll(() => entra.close())

const as = 'ada@contoso.example'

describe('examples/telemetry', () => {
  it('exports logins, tokens and refusals as spans and metrics, and no secret', async () => {
    const program = run(['telemetry.js'], await environmentFor(entra))
    const { url, child, ended, output } = await printed(program, 'MCP server:')
    const signedIn = await signIn(`${url}/mcp`, { as })
    expect((await callMcp(url, signedIn.accessToken, 'tools/call', { name: 'whoami' })).ok).toBe(
      true,
    )
    await expect(signIn(`${url}/mcp`, { as, consent: 'deny' })).rejects.toThrow('access_denied')
    child.kill('SIGTERM')
    expect(await ended).toBe(0)

    const printedOut = output()
    const spans = [...printedOut.matchAll(/name: 'mcp-entra (\w+)'/g)].map(([, name]) => name)
    expect(spans).toEqual(expect.arrayContaining(['login', 'token', 'refusal']))
    expect(printedOut).toMatch(/event: 'login',\s+outcome: 'success'/)
    expect(printedOut).toMatch(/endpoint: 'consent',\s+reason: 'denied'/)
    expect(printedOut).toContain(`resource: '${url}/mcp'`)
    expect(printedOut).toMatch(/name: 'mcp_entra\.events'/)
    expect(printedOut).toMatch(/name: 'mcp_entra\.duration'/)
    const { accessToken, refreshToken = '', clientId } = signedIn
    for (const secret of [accessToken, refreshToken, clientId, as]) {
      expect(secret).toBeTruthy()
      expect(printedOut).not.toContain(secret)
    }
  })
})
