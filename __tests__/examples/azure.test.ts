/** The example for containers and App Service: the server as its platforms treat it, and the files that say how. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { DockerfileParser } from 'dockerfile-ast'
import { validate } from 'dockerfile-utils'
import { connect, startEntra } from 'mcp-entra/testing'
import { Language, type Node, Parser } from 'web-tree-sitter'
import { freePort } from '../../bench/free-port.js'
import type { Entra } from '../support/host.js'
import {
  type Environment,
  environmentFor,
  killPrograms,
  printed,
  run,
} from '../support/programs.js'

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterEach(killPrograms)
afterAll(() => entra.close())

const read = (name: string) =>
  readFileSync(new URL(`../../examples/azure/${name}`, import.meta.url), 'utf8')

async function start(more: Environment = {}) {
  const env = { ...(await environmentFor(entra)), DRAIN_SECONDS: '3', ...more }
  return printed(run(['azure/server.js'], env), 'MCP server:')
}

const status = async (url: string) => (await fetch(url)).status

describe('examples/azure/server', () => {
  it('knows who is calling', async () => {
    const { url } = await start()
    const client = await connect(`${url}/mcp`, { as: 'ada@contoso.example', sdk: 1 })
    const { content } = await client.callTool({ name: 'whoami' })
    expect(content[0]?.text).toContain('ada@contoso.example')
    await client.close()
  })

  it('is alive and not ready while it leaves, ends what it has begun, and then takes nothing new', async () => {
    const { url, child, ended } = await start()
    expect([await status(`${url}/healthz`), await status(`${url}/readyz`)]).toEqual([200, 200])
    const slow = request(`${url}/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', 'content-length': '7' },
    })
    slow.write('grant')
    await once(slow, 'socket')
    child.kill('SIGTERM')
    while ((await status(`${url}/readyz`)) === 200) await new Promise(setImmediate)
    expect(await status(`${url}/healthz`)).toBe(200)

    // Refused from now on: it listens no longer.
    for (;;) {
      const refused = await fetch(`${url}/healthz`).then(
        () => false,
        () => true,
      )
      if (refused) break
    }
    expect(child.exitCode).toBeNull()
    slow.end('_t')
    const [answer] = (await once(slow, 'response')) as [{ statusCode: number; resume(): void }]
    expect(answer.statusCode).toBe(401)
    answer.resume()
    expect(await ended).toBe(0)
  })
})

describe('examples/azure/Dockerfile', () => {
  const text = read('Dockerfile')
  const instructions = DockerfileParser.parse(text).getInstructions()
  const final = instructions.slice(
    instructions.map((one) => one.getKeyword()).lastIndexOf('FROM') + 1,
  )
  const argumentsOf = (keyword: string) =>
    final.find((one) => one.getKeyword() === keyword)?.getArgumentsContent() ?? ''

  it('is read without a complaint', () => {
    expect(instructions.length).toBeGreaterThan(10)
    expect(validate(text).map(({ message }) => message)).toEqual([])
    expect(validate('FORM node').length).toBeGreaterThan(0)
  })

  it('runs node itself, as somebody who is not root', () => {
    expect(JSON.parse(argumentsOf('CMD'))).toEqual(['node', 'dist/server.js'])
    expect(argumentsOf('USER')).toBe('node')
  })

  it('checks what the server answers', async () => {
    const { url } = await start()
    const [, command = ''] = /CMD (.*)$/.exec(argumentsOf('HEALTHCHECK')) ?? []
    const [program = '', ...args] = JSON.parse(command) as string[]
    const check = async (port: string) => {
      const child = spawn(program, args, { env: { PATH: process.env.PATH ?? '', PORT: port } })
      const [code] = (await once(child, 'close')) as [number]
      return code
    }
    expect(await check(new URL(url).port)).toBe(0)
    expect(await check(String(await freePort()))).toBe(1)
  })
})

describe.each(['container-apps', 'app-service'])('examples/azure/%s.bicep', (name) => {
  let root: Node
  beforeAll(async () => {
    root = await parseBicep(read(`${name}.bicep`))
  })

  it('is Bicep', async () => {
    expect(mistakes(root)).toEqual([])
    expect(mistakes(await parseBicep("param name string = 'a\nvar b = {"))).not.toEqual([])
  })

  it('names only what it declares', async () => {
    expect(references(root).length).toBeGreaterThan(30)
    expect(undeclared(root)).toEqual([])
    expect(undeclared(await parseBicep('var a = b\nvar c = { d: a }'))).toEqual(['b'])
  })

  it('gives the server the variables it reads, and no others', () => {
    const lines = read('server.ts').split('\n')
    const readers = (variable: string) =>
      lines.filter((line) =>
        new RegExp(`^const \\{.*\\b${variable}\\b.* = process\\.env`).test(line),
      )
    const set = [...read(`${name}.bicep`).matchAll(/name: '([A-Z][A-Z_]+)'/g)].map(
      ([, one]) => one ?? '',
    )
    expect(set.length).toBeGreaterThan(5)
    for (const variable of set) {
      expect(readers(variable)).toHaveLength(1)
    }
    for (const needed of [
      'BASE_URL',
      'AZURE_TENANT_ID',
      'AZURE_CLIENT_ID',
      'MCP_ENTRA_KEYS',
      'REDIS_URL',
    ]) {
      expect(set).toContain(needed)
    }
  })

  it('asks after the server where the server answers', async () => {
    const { url } = await start()
    const paths = [...read(`${name}.bicep`).matchAll(/(?:path|healthCheckPath): '([^']+)'/g)].map(
      ([, path]) => path,
    )
    expect(paths.length).toBeGreaterThan(0)
    for (const path of paths) expect([path, await status(url + path)]).toEqual([path, 200])
  })
})

/** Functions of Bicep that are used. */
const functions = [
  'description',
  'minValue',
  'resourceGroup',
  'guid',
  'subscriptionResourceId',
  'environment',
  'tenant',
  'string',
  'json',
]

/** tree-sitter's grammar: the compiler is not to be had from npm, so types and API versions are not checked. */
async function parseBicep(text: string): Promise<Node> {
  await Parser.init()
  const grammar = new URL(import.meta.resolve('tree-sitter-bicep/tree-sitter-bicep.wasm'))
  const parser = new Parser().setLanguage(await Language.load(fileURLToPath(grammar)))
  const tree = parser.parse(text)
  if (!tree) throw new Error('no tree')
  return tree.rootNode
}

function all(node: Node, ...types: readonly string[]): Node[] {
  return node.descendantsOfType([...types]).filter((found) => found !== null)
}

function mistakes(root: Node): string[] {
  const found: string[] = []
  const visit = (node: Node) => {
    if (node.isError || node.isMissing) found.push(`${node.startPosition.row + 1}: ${node.text}`)
    for (const child of node.children) if (child) visit(child)
  }
  visit(root)
  return found
}

/** Identifiers that are no declaration and no name of an object's property. */
function references(root: Node): string[] {
  return all(root, 'identifier')
    .filter(({ id, parent }) => !(isNamed(parent) && parent?.namedChild(0)?.id === id))
    .map(({ text }) => text)
}

function isNamed(node: Node | null): boolean {
  return node !== null && (node.type === 'object_property' || declarations.includes(node.type))
}

const declarations = ['parameter', 'variable', 'resource', 'output'].map(
  (kind) => `${kind}_declaration`,
)

function undeclared(root: Node): string[] {
  const declared = all(root, ...declarations).map((node) => node.namedChild(0)?.text)
  return references(root).filter((name) => ![...declared, ...functions].includes(name))
}
