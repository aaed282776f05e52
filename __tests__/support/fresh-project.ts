/** The package as users get it: packed, and installed into an empty folder from the registry of npm's configuration. */
import { execFile, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describeNeeding } from './needs.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const nodes = join(root, 'build/nodes')

/** Of package.json, what tests read. */
export interface Manifest {
  readonly [field: string]: unknown
  readonly version: string
  readonly engines: { readonly node: string }
  readonly exports: Readonly<Record<string, string | Readonly<Record<string, string>>>>
  readonly bin?: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
}

/** package.json of a folder. Default: ours. */
export async function readManifest(folder: string = root): Promise<Manifest> {
  return JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as Manifest
}

/** What users can import: `mcp-entra`, `mcp-entra/redis` … */
export function subpathsOf({ exports }: Manifest): readonly string[] {
  const modules = Object.entries(exports).filter(([, target]) => typeof target !== 'string')
  return modules.map(([name]) => `mcp-entra${name.slice(1)}`)
}

/** The lowest Node of each range that `engines` names. */
export function lowestNodes({ engines }: Manifest): readonly string[] {
  return engines.node.split('||').map((range) => range.replace(/[^0-9.]/g, ''))
}

/** A tarball, and what is in it. */
export interface Packed {
  readonly tarball: string
  readonly files: readonly { readonly path: string; readonly size: number }[]
}

/** Packs what the test run has built. The folder is the caller's to remove. */
export async function packInto(folder: string): Promise<Packed> {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder]
  const { stdout } = await promisify(execFile)('npm', args, { cwd: root, maxBuffer: 2 ** 24 })
  // npm 11 prints a list, npm 12 an object.
  const [packed] = Object.values(JSON.parse(stdout) as Record<string, PackReport>)
  if (!packed) throw new Error(stdout)
  return { tarball: join(folder, packed.filename), files: packed.files }
}

interface PackReport {
  readonly filename: string
  readonly files: Packed['files']
}

/** A folder with the package installed. */
export interface FreshProject {
  readonly folder: string
  /** Runs a program of it, with this Node or the one of the tests. @throws Error with what it printed */
  run(command: string, args: readonly string[], node?: string): Promise<string>
}

/** What a project starts with. */
export interface FreshProjectOptions {
  readonly dependencies?: Readonly<Record<string, string>>
  /** Of package.json. Default `module`. */
  readonly type?: 'module' | 'commonjs'
  /** Files by name. */
  readonly files?: Readonly<Record<string, string>>
  /** Install with this Node, and only what says that it runs there. */
  readonly strictlyOn?: string
}

/** @throws Error with what npm says */
export async function freshProject(
  tarball: string,
  { dependencies = {}, type = 'module', files = {}, strictlyOn }: FreshProjectOptions,
): Promise<FreshProject> {
  const folder = await mkdtemp(join(dirname(tarball), 'project-'))
  const manifest = {
    name: 'fresh',
    private: true,
    type,
    dependencies: { 'mcp-entra': `file:${tarball}`, ...dependencies },
  }
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  const project = { folder, run: runIn(folder) }
  const flags = ['--no-audit', '--no-fund', '--prefer-offline', ...(strictlyOn ? strict : [])]
  await project.run('npm', ['install', ...flags], strictlyOn)
  return project
}

const strict = ['--engine-strict']

function runIn(folder: string): FreshProject['run'] {
  return async (command, args, node) => {
    const path = [dirname(node ?? process.execPath), process.env.PATH].join(delimiter)
    const options = { cwd: folder, env: { ...process.env, PATH: path }, maxBuffer: 2 ** 24 }
    const ran = promisify(execFile)(command, args, options)
    const { stdout } = await ran.catch(({ stdout, stderr }) => {
      throw new Error(`${command} ${args.join(' ')}:\n${stdout}${stderr}`)
    })
    return stdout
  }
}

/**
 * Another Node, from npm's package `node`. It stays in `build/` for the next run.
 *
 * @returns its path
 * @throws Error with what npm says
 */
export async function getNode(version: string): Promise<string> {
  const node = join(nodes, version, 'node_modules/node/bin/node')
  if (existsSync(node)) return node
  await mkdir(nodes, { recursive: true })
  const folder = await mkdtemp(join(nodes, 'new-'))
  const manifest = { private: true, allowScripts: { node: true } }
  await writeFile(join(folder, 'package.json'), JSON.stringify(manifest))
  const flags = ['--no-audit', '--no-fund', '--prefer-offline']
  await runIn(folder)('npm', ['install', `node@${version}`, ...flags])
  // Whole or not at all: another run may have been faster.
  await rename(folder, join(nodes, version)).catch(() => rm(folder, { recursive: true }))
  return node
}

/** A folder for tarballs and projects. */
export function projectsFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'mcp-entra-package-'))
}

/** The version of a package that the repository itself uses. */
export async function ownVersion(name: string): Promise<string> {
  return (await readManifest(join(root, 'node_modules', name))).version
}

/** `describe`, where npm can reach its registry. */
export function describeWithRegistry(title: string, body: () => void): void {
  describeNeeding('npm registry', registryIsThere())(title, body)
}

function registryIsThere(): boolean {
  const flags = ['--prefer-online', '--fetch-retries=0', '--fetch-timeout=15000']
  return spawnSync('npm', ['view', 'connect@3.7.0', 'version', ...flags]).status === 0
}
