/** The examples of one file each, run as a newcomer runs them, against one emulated Entra. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { startEntra } from 'mcp-entra/testing'
import { freePort } from '../../bench/free-port.js'
import { newKey, proof, redeemBound } from '../support/dpop.js'
import type { Entra } from '../support/host.js'
import { modernMeta } from '../support/in-session.js'
import {
  ada,
  callMcp,
  challengeParams,
  getCode,
  login,
  newBrowser,
  refresh,
  toolText,
} from '../support/oauth-client.js'
import {
  type Environment,
  environmentFor,
  killPrograms,
  type Program,
  printed,
  run,
} from '../support/programs.js'
import { describeWithRedis, redisForTests, type TestRedis } from '../support/redis-server.js'

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterEach(killPrograms)
afterAll(() => entra.close())

const start = (name: string, env: Environment): Promise<Program> =>
  printed(run([`${name}.js`], env), 'MCP server:')

async function callTool(url: string, token: string, name: string): Promise<unknown> {
  return toolText(await callMcp(url, token, 'tools/call', { name }))
}

describe('examples/minimal', () => {
  it('asks for a token, and then knows who is calling', async () => {
    const { url } = await start('minimal', await environmentFor(entra))
    const challenge = await callMcp(url, 'none', 'tools/list')
    expect([challenge.status, challengeParams(challenge).scope]).toEqual([401, 'notes.read'])
    const { access_token } = await login(url)
    expect(await callTool(url, access_token, 'whoami')).toMatchObject({ oid: ada })
  })

  it('starts an emulated Entra of its own without AZURE_TENANT_ID', async () => {
    const port = String(await freePort())
    const url = `http://localhost:${port}`
    const program = run(['--import', './demo/emulator.js', 'minimal.js'], { PORT: port })
    await printed(program, `MCP server: ${url}/mcp`)
    expect(program.output()).toMatch(/^Emulated Entra: http:\S+ \(sign in as ada@contoso\.example/)
    const { access_token } = await login(url)
    expect(await callTool(url, access_token, 'whoami')).toMatchObject({ oid: ada })
  })

  it('does not start one with it', async () => {
    const env = await environmentFor(entra)
    const program = run(['--import', './demo/emulator.js', 'minimal.js'], env)
    await printed(program, 'MCP server:')
    expect(program.output()).toBe(`MCP server: ${env.BASE_URL}/mcp\n`)
  })

  it('ends with what the library says when a variable is missing', async () => {
    const { MCP_ENTRA_KEYS: _missing, ...env } = await environmentFor(entra)
    const program = run(['minimal.js'], env)
    expect(await program.ended).toBe(1)
    expect(program.output()).toMatch(/TypeError: entraAuth: keys.*openssl rand -base64 32/)
  })
})

describe('examples/dpop', () => {
  it('serves a client that has a key, and no other', async () => {
    const { url } = await start('dpop', await environmentFor(entra))
    const base = url.replace(/\/mcp$/, '')
    const key = newKey()
    const code = await getCode(base)
    const refused = await redeemBound(base, code, key)
    const claims = { nonce: refused.headers.get('dpop-nonce') }
    const answer = await redeemBound(base, code, key, { claims })
    const { access_token } = (await answer.json()) as { access_token: string }
    const dpop = proof(key, 'POST', `${base}/mcp`, access_token, { claims })
    const headers = { authorization: `DPoP ${access_token}`, dpop }
    const response = await callMcp(base, '', 'tools/call', { name: 'whoami' }, headers)
    expect(await toolText(response)).toMatchObject({ oid: ada })
    await expect(login(base)).rejects.toThrow(/invalid_dpop_proof/)
  })
})

describe('examples/graph', () => {
  it('asks Graph on behalf of the user who calls', async () => {
    const { url } = await start('graph', await environmentFor(entra))
    const { access_token } = await login(url)
    expect(await callTool(url, access_token, 'my_profile')).toMatchObject({ id: ada })
  })

  it('gives the client an answer it can act on when Entra wants more of the user', async () => {
    const { url } = await start('graph', await environmentFor(entra))
    const { access_token } = await login(url)
    entra.requireMfa(ada, true)
    try {
      const refused = await callMcp(url, access_token, 'tools/call', { name: 'my_profile' })
      expect(refused.status).toBe(401)
      expect(challengeParams(refused).error).toBe('insufficient_claims')
    } finally {
      entra.requireMfa(ada, false)
    }
  })
})

describe('examples/in-session', () => {
  it('sends the user to Entra for consent, and then reads their mail in the same login', async () => {
    const { url } = await start('in-session', await environmentFor(entra))
    const browser = newBrowser()
    const { access_token } = await login(url, { browser })
    const params = { name: 'my_mail', ...modernMeta() }
    const call = () =>
      callMcp(url, access_token, 'tools/call', params, {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': 'my_mail',
      })
    const { result } = (await (await call()).json()) as {
      result: { inputRequests: Record<string, { params: { url: string } }> }
    }
    const [question] = Object.values(result.inputRequests)
    expect((await browser.open(question?.params.url ?? '')).status).toBe(200)
    expect(await toolText(await call())).toHaveProperty('value')
  })
})

describeWithRedis('examples/redis', () => {
  let redis: TestRedis
  beforeAll(async () => {
    redis = await redisForTests()
  })
  afterAll(() => redis.close())

  it('keeps a login when the process is killed and started again', async () => {
    const env = { ...(await environmentFor(entra)), REDIS_URL: redis.url }
    const { url, child, ended } = await start('redis', env)
    const { access_token } = await login(url)
    child.kill('SIGKILL')
    await ended
    await start('redis', env)
    expect(await callTool(url, access_token, 'whoami')).toMatchObject({ oid: ada })
  })

  it('takes up a new key in two steps: tokens and clients of every replica stay good', async () => {
    const [old = '', fresh = ''] = [
      'example key old: 0123456789abcdef',
      'example key new: 0123456789a',
    ]
    const own = await environmentFor(entra)
    const ports = [own.PORT ?? '', String(await freePort())]
    const replicas: Program[] = []
    const restart = async (index: number, keys: string) => {
      replicas[index]?.child.kill('SIGKILL')
      await replicas[index]?.ended
      const env = { ...own, REDIS_URL: redis.url, MCP_ENTRA_KEYS: keys }
      replicas[index] = await start('redis', { ...env, PORT: ports[index] ?? '' })
    }
    for (const index of [0, 1]) await restart(index, old)
    const at = (index: number) => `http://localhost:${ports[index]}`
    const { access_token, refresh_token, clientId } = await login(at(0))
    const tokens = [access_token]
    for (const keys of [`${old},${fresh}`, `${fresh},${old}`]) {
      for (const index of [0, 1]) {
        await restart(index, keys)
        // In the midst of a step one replica has restarted, and the other has not.
        tokens.push((await login(at(0), { clientId })).access_token)
        for (const token of tokens) {
          for (const where of [0, 1]) {
            expect(await callTool(at(where), token, 'whoami')).toMatchObject({ oid: ada })
          }
        }
      }
    }
    const renewed = await refresh(at(1), { refresh_token, clientId })
    expect(renewed.status).toBe(200)
  })
})
