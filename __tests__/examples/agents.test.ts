/** The example of a server that knows agents, and is one. */
import { afterEach, describe, expect, it } from '@jest/globals'
import { agent, startEntraWithAgents } from '../support/agents.js'
import type { Entra } from '../support/host.js'
import { ada, callMcp, toolText } from '../support/oauth-client.js'
import { environmentFor, killPrograms, printed, run } from '../support/programs.js'

let entra: Entra
afterEach(async () => {
  await killPrograms()
  await entra.close()
})

const call = (url: string, token: string, name: string) =>
  callMcp(url, token, 'tools/call', { name })

describe('examples/agents', () => {
  it('tells people from agents, and calls Graph as an agent for a person', async () => {
    entra = await startEntraWithAgents({ apiIsBlueprint: true })
    const { MCP_ENTRA_KEYS: _keys, ...env } = await environmentFor(entra)
    const program = run(['agents.js'], { ...env, AGENT_ID: agent, GRAPH_URL: entra.graphUrl })
    const { url } = await printed(program, 'MCP server:')
    const person = await entra.mintAccessToken({ user: ada, scopes: ['notes.read'] })
    const alone = await entra.mintAccessToken({ user: null, client: agent })

    expect(await toolText(await call(url, person, 'whoami'))).toMatchObject({ kind: 'user' })
    expect(await toolText(await call(url, alone, 'whoami'))).toMatchObject({
      kind: 'agent',
      agent: { id: agent, blueprint: entra.app.clientId },
    })
    expect(await toolText(await call(url, alone, 'list_notes'))).toEqual([])
    expect((await call(url, alone, 'my_profile')).status).toBe(403)
    expect(await toolText(await call(url, person, 'my_profile'))).toMatchObject({ id: ada })
    const exchanges = entra
      .requestsTo('token')
      .filter(({ grantType }) => grantType === 'on_behalf_of')
    expect(exchanges.map(({ clientId }) => clientId)).toEqual([agent])
  })
})
