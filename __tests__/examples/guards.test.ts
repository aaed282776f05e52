/** The examples of what a server may ask of its callers, and of where it stands. */
import { request } from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { connect, signIn, startEntra } from 'mcp-entra/testing'
import { type Entra, listen } from '../support/host.js'
import { callMcp, challengeParams, toolText } from '../support/oauth-client.js'
import {
  type Environment,
  environmentFor,
  killPrograms,
  type Program,
  printed,
  run,
} from '../support/programs.js'

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterEach(killPrograms)
afterAll(() => entra.close())

const ada = 'ada@contoso.example'
const bob = 'bob@contoso.example'

async function start(name: string, more: Environment = {}): Promise<Program> {
  const env = { ...(await environmentFor(entra)), ...more }
  return printed(run([`${name}.js`], env), 'MCP server:')
}

/** What `prefix.ts` says a reverse proxy has to send. */
const locations = [
  /^\/notes\//,
  /^\/\.well-known\/oauth-authorization-server\/notes$/,
  /^\/\.well-known\/oauth-protected-resource\/notes\/mcp$/,
]

async function callTool(url: string, as: string, name: string, scope = 'notes.read') {
  const client = await connect(url, { as, scope, sdk: 1 })
  try {
    const { content } = await client.callTool({ name })
    return JSON.parse(content[0]?.text ?? '') as unknown
  } finally {
    await client.close()
  }
}

describe('examples/tool-scopes', () => {
  it('names the scope that a tool lacks, and lets its owner call it', async () => {
    const { url } = await start('tool-scopes')
    const { accessToken } = await signIn(`${url}/mcp`, { as: bob })
    const refused = await callMcp(url, accessToken, 'tools/call', { name: 'add_note' })
    expect(refused.status).toBe(403)
    expect(challengeParams(refused)).toMatchObject({
      error: 'insufficient_scope',
      scope: 'notes.read notes.write',
    })
    expect(await callTool(`${url}/mcp`, bob, 'list_notes')).toEqual([])
    expect(await callTool(`${url}/mcp`, bob, 'add_note', 'notes.write')).toBe('written')
  })

  it('lets only users with the role purge, whatever scopes others have', async () => {
    const { url } = await start('tool-scopes')
    expect(await callTool(`${url}/mcp`, ada, 'purge_notes')).toBe(`purged by ${ada}`)
    const all = 'notes.read notes.write'
    await expect(callTool(`${url}/mcp`, bob, 'purge_notes', all)).rejects.toThrow(/403|role/)
  })

  it('lets a daemon with the role export, and nothing else that needs more', async () => {
    const { url } = await start('tool-scopes')
    const daemon = await entra.mintAccessToken({
      user: null,
      client: entra.apps[1]?.clientId ?? '',
    })
    const exported = await callMcp(url, daemon, 'tools/call', { name: 'export_notes' })
    expect(await toolText(exported)).toEqual([])
    for (const name of ['add_note', 'purge_notes']) {
      expect((await callMcp(url, daemon, 'tools/call', { name })).status).toBe(403)
    }
  })
})

describe.each([
  ['tool-scopes', ['add_note', 'export_notes', 'list_notes'], 'purge_notes'],
  ['sdk-v2', ['add_note', 'whoami'], 'purge_notes'],
])('the tools that examples/%s lists', (name, all, more) => {
  it.each([1, 2] as const)('leave out what the caller can never call (client %s)', async (sdk) => {
    const { url } = await start(name)
    const names = async (as: string) => {
      const client = await connect(`${url}/mcp`, { as, sdk })
      try {
        return (await client.listTools()).tools.map((tool) => tool.name).sort()
      } finally {
        await client.close()
      }
    }
    expect(await names(bob)).toEqual(all)
    expect(await names(ada)).toEqual([...all, more].sort())
  })
})

describe('examples/prefix', () => {
  it('needs no more of a reverse proxy than the three locations it names', async () => {
    const { PORT = '' } = await environmentFor(entra)
    const asked: string[] = []
    const front = await listen(() => (req, res) => {
      const { url = '', method, headers } = req
      const isSent = locations.some((location) => location.test(url))
      asked.push(`${isSent ? 'sent' : 'kept'} ${url.split('?')[0]}`)
      if (!isSent) return void res.writeHead(404).end()
      const onward = request({ port: PORT, path: url, method, headers }, (answer) => {
        res.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(res)
      })
      req.pipe(onward)
    })
    try {
      const baseUrl = `${front.url}/notes`
      entra.addRedirectUri(`${baseUrl}/auth/callback`)
      await start('prefix', { PORT, BASE_URL: baseUrl })
      expect(await callTool(`${baseUrl}/mcp`, ada, 'whoami')).toMatchObject({ username: ada })
      expect(asked.filter((line) => line.startsWith('kept'))).toEqual([])
    } finally {
      await front.close()
    }
  })

  it('runs on an emulated Entra of its own', async () => {
    const { PORT = '' } = await environmentFor(entra)
    const env = { PORT, BASE_URL: `http://localhost:${PORT}/notes` }
    await printed(run(['--import', './demo/emulator.js', 'prefix.js'], env), 'MCP server:')
    expect(await callTool(`${env.BASE_URL}/mcp`, ada, 'whoami')).toMatchObject({ username: ada })
  })
})

describe('examples/two-resources', () => {
  it('lets a token open the resource that it is for, and not the other', async () => {
    const { url } = await start('two-resources')
    for (const [mine, other] of [
      ['notes', 'calendar'],
      ['calendar', 'notes'],
    ] as const) {
      const answer = await callTool(`${url}/${mine}/mcp`, ada, 'whoami')
      expect(answer).toMatchObject({ topic: mine, username: ada })
      const { accessToken } = await signIn(`${url}/${mine}/mcp`, { as: ada })
      const refused = await callMcp(`${url}/${other}`, accessToken, 'tools/list')
      expect(refused.status).toBe(401)
      expect(challengeParams(refused).error).toBe('invalid_token')
    }
  })
})
