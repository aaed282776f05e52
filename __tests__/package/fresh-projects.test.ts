/**
 * The packed package in projects that know nothing of this repository: each logs a user in and calls Graph for her, on
 * the lowest Node of each range in `engines` and on the one of this run. `MCP_ENTRA_NODES` names more of them
 * (`.ci/run`). Which subpaths and programs there are, package.json says.
 */
import { copyFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import { freePort } from '../../bench/free-port.js'
import {
  describeWithRegistry,
  type FreshProject,
  type FreshProjectOptions,
  freshProject,
  getNode,
  lowestNodes,
  ownVersion,
  packInto,
  projectsFolder,
  readManifest,
  subpathsOf,
} from '../support/fresh-project.js'
import { ada, callMcp, login, toolText } from '../support/oauth-client.js'
import { killPrograms, printed, run } from '../support/programs.js'

const examples = fileURLToPath(new URL('../../build/examples', import.meta.url))
const projects = fileURLToPath(new URL('projects', import.meta.url))

const manifest = await readManifest()
const subpaths = subpathsOf(manifest)
const lowest = lowestNodes(manifest)
const more = (process.env.MCP_ENTRA_NODES ?? '').split(' ').filter(Boolean)
const versions = [...lowest, ...more, 'of this run']

/** One way of using the package: a program, and what it needs beside us. */
interface Way extends Pick<FreshProjectOptions, 'type'> {
  readonly program: string
  readonly dependencies: Readonly<Record<string, string>>
}

const v1 = { '@modelcontextprotocol/sdk': await ownVersion('@modelcontextprotocol/sdk') }
const v2 = {
  '@modelcontextprotocol/server': await ownVersion('@modelcontextprotocol/server'),
  '@modelcontextprotocol/node': await ownVersion('@modelcontextprotocol/node'),
  '@modelcontextprotocol/express': await ownVersion('@modelcontextprotocol/express'),
}
const express5 = { express: await ownVersion('express') }

const ways: readonly (readonly [string, Way])[] = [
  [
    'Connect, without optional peers',
    { program: join(projects, 'connect.mjs'), dependencies: { connect: '3.7.0' } },
  ],
  [
    'Express 5 and SDK v1',
    { program: join(examples, 'graph.js'), dependencies: { ...express5, ...v1 } },
  ],
  [
    'Express 5 and SDK v2',
    { program: join(projects, 'sdk-v2.mjs'), dependencies: { ...express5, ...v2 } },
  ],
  [
    'require, Express 4.18.0 and SDK v1',
    {
      program: join(projects, 'commonjs.cjs'),
      type: 'commonjs',
      dependencies: { express: '4.18.0', ...v1 },
    },
  ],
]

describeWithRegistry('the package, installed', () => {
  let folder: string
  let tarball: string
  const nodes: Record<string, string> = { 'of this run': process.execPath }
  beforeAll(async () => {
    folder = await projectsFolder()
    tarball = (await packInto(folder)).tarball
    for (const version of [...lowest, ...more]) nodes[version] = await getNode(version)
  }, 300_000)
  afterAll(() => rm(folder, { recursive: true }))
  afterEach(killPrograms)

  it.each(lowest)('says of nothing that it needs a newer Node than %s', async (version) => {
    const strictlyOn = nodes[version] ?? ''
    const { run: runIn } = await freshProject(tarball, { strictlyOn })
    expect(await runIn('npm', ['ls', '--omit=dev'], strictlyOn)).toContain('mcp-entra@')
  })

  describe.each(ways)('with %s', (_title, { program, ...options }) => {
    let project: FreshProject
    beforeAll(async () => {
      project = await freshProject(tarball, options)
      await copyFile(join(examples, 'demo/emulator.js'), join(project.folder, 'emulator.mjs'))
      await copyFile(program, join(project.folder, nameOf(program)))
    }, 120_000)

    it.each(versions)('logs in, and exchanges a token, on Node %s', async (version) => {
      const port = String(await freePort())
      const place = { cwd: project.folder, node: nodes[version] ?? '' }
      const server = run(['--import', './emulator.mjs', nameOf(program)], { PORT: port }, place)
      await printed(server, 'MCP server:')
      const url = `http://localhost:${port}`
      const { access_token } = await login(url)
      const answer = await callMcp(url, access_token, 'tools/call', { name: 'my_profile' })
      expect(await toolText(answer)).toMatchObject({ id: ada })
      expect(server.output()).not.toContain('DeprecationWarning')
    })

    it.each(versions)(
      'loads every subpath with import and with require on Node %s',
      async (version) => {
        const code = `
          const named = (module) => Object.keys(module).filter((key) => key !== '__esModule')
          const load = async (name) => [named(await import(name)), named(require(name))]
          Promise.all(${JSON.stringify(subpaths)}.map(load)).then((all) => console.log(JSON.stringify(all)))
        `
        const args = ['--input-type=commonjs', '--eval', code]
        const found = JSON.parse(await project.run('node', args, nodes[version])) as string[][][]
        expect(found).toHaveLength(subpaths.length)
        for (const [imported = [], required] of found) {
          expect(imported.length).toBeGreaterThan(0)
          expect(required).toEqual(imported)
        }
      },
    )

    for (const name of Object.keys(manifest.bin ?? {})) {
      it(`starts ${name}`, async () => {
        expect(await project.run('npx', ['--no-install', name, '--help'])).toContain(name)
      })
    }
  })
})

/** A file of the project, named so that Node knows what it is. */
function nameOf(program: string): string {
  return program.endsWith('.cjs') ? 'server.cjs' : 'server.mjs'
}
