/** The official conformance runner against the reference host. It needs Node 22, and brings it from npm. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { startWorld } from '../support/host.js'
import { describeNeeding } from '../support/needs.js'

/** What came of one check. */
interface Check {
  readonly scenario: string
  readonly id: string
  readonly status: 'SUCCESS' | 'FAILURE' | 'WARNING' | 'SKIPPED' | 'INFO'
  readonly errorMessage?: string
}

/** What came of one run of the runner. */
interface Run {
  readonly command: 'authorization' | 'server' | 'client'
  readonly specVersion?: string
  readonly resource?: boolean
  readonly host?: string
  readonly revision?: string
  readonly scenario?: string
  readonly exitCode: number | null
  readonly checks: readonly Check[]
  readonly output: string
}

const root = fileURLToPath(new URL('../..', import.meta.url))
const runScript = join(root, '__tests__/conformance/run.mjs')

const installation = spawnSync(process.execPath, [runScript, '--install'], { encoding: 'utf8' })
const isInstalled = installation.status === 0
const describeIfInstalled = describeNeeding('conformance runner', isInstalled)

let program: ChildProcess | undefined
let report: readonly Run[] = []

beforeAll(async () => {
  if (!isInstalled) return
  const folder = await mkdtemp(join(tmpdir(), 'mcp-entra-conformance-'))
  const file = join(folder, 'report.json')
  program = spawn(process.execPath, [runScript, '--json', file], { stdio: 'ignore' })
  await once(program, 'close')
  report = JSON.parse(await readFile(file, 'utf8')) as Run[]
  await rm(folder, { recursive: true })
}, 400_000)
afterAll(() => void program?.kill())

function find(wanted: Partial<Run>): Run {
  const entries = Object.entries(wanted) as [keyof Run, unknown][]
  const found = report.find((run) => entries.every(([name, value]) => run[name] === value))
  if (!found) throw new Error(`the runner has not run: ${JSON.stringify(wanted)}`)
  return found
}

const outcomes = ({ checks }: Run) =>
  Object.fromEntries(checks.map(({ id, status }) => [id, status]))

/** What a run that failed printed last. Its exit code is `null` when it did not end by itself. */
const failureOf = ({ exitCode, output }: Run) =>
  exitCode === 0 ? undefined : `exit code ${exitCode}: ${output.slice(-2000)}`

const bad = ({ checks }: Run) =>
  checks.filter(({ status }) => status === 'FAILURE' || status === 'WARNING')

const cases = ['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'].flatMap((specVersion) =>
  [false, true].map((resource) => ({ specVersion, resource })),
)

describeIfInstalled('the official conformance runner, as an OAuth client', () => {
  it.each(cases)(
    'has nothing to object to (spec $specVersion, resource parameter: $resource)',
    async ({ specVersion, resource }) => {
      const run = find({ command: 'authorization', specVersion, resource })
      const cimd = await advertisesClientIdMetadataDocuments()
      // These revisions know client ID metadata documents; the runner warns where they are not advertised.
      const asksForCimd = specVersion >= '2025-11-25'
      expect({ failure: failureOf(run), ...outcomes(run) }).toEqual({
        failure: undefined,
        'authorization-server-metadata': 'SUCCESS',
        'authorization-code-grant': 'SUCCESS',
        ...(asksForCimd && {
          'authorization-server-metadata-cimd': cimd ? 'SUCCESS' : 'WARNING',
        }),
      })
    },
  )
})

/** Whether the host under test claims what the runner asks for. */
async function advertisesClientIdMetadataDocuments(): Promise<boolean> {
  const world = await startWorld()
  const response = await fetch(`${world.url}/.well-known/oauth-authorization-server`)
  const metadata = (await response.json()) as { client_id_metadata_document_supported?: boolean }
  await world.close()
  return metadata.client_id_metadata_document_supported === true
}

describeIfInstalled('the official conformance runner, as an MCP client behind the gate', () => {
  const suites = [
    ['reference', '2025-11-25'],
    ['sdk-v2', '2025-11-25'],
    ['sdk-v2', '2026-07-28'],
  ]

  it.each(suites)(
    'fails on the %s server (%s) in no other scenario than the expected-failures file explains',
    (host, revision) => {
      const run = find({ command: 'server', host, revision })
      // The runner says which: unexpected failures, and expected ones that pass by now.
      expect(failureOf(run)).toBeUndefined()
    },
  )

  it.each(suites)('gets nothing but well-formed messages from %s (%s)', (host, revision) => {
    const run = find({ command: 'server', host, revision })
    expect(bad(run).filter(({ id }) => id === 'wire-schema-valid')).toEqual([])
  })

  it.each([
    ['reference', ['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection']],
    [
      'sdk-v2',
      [
        ...['server-initialize', 'ping', 'tools-list', 'dns-rebinding-protection'],
        ...['tools-call-simple-text', 'tools-call-image', 'tools-call-audio', 'tools-call-error'],
        ...['tools-call-embedded-resource', 'tools-call-mixed-content', 'tools-call-with-progress'],
      ],
    ],
  ])('lets all of 2025-11-25 pass that concerns tools (%s)', (host, scenarios) => {
    expectSuccess(find({ command: 'server', host, revision: '2025-11-25' }), scenarios)
  })

  it('lets all of 2026-07-28 pass that concerns tools, headers and statelessness', () => {
    const run = find({ command: 'server', host: 'sdk-v2', revision: '2026-07-28' })
    expectSuccess(run, [
      ...['tools-list', 'tools-call-simple-text', 'tools-call-image', 'tools-call-audio'],
      ...['tools-call-error', 'tools-call-embedded-resource', 'tools-call-mixed-content'],
      ...['tools-call-with-progress', 'http-header-validation', 'dns-rebinding-protection'],
    ])
    const stateless = run.checks.filter(({ scenario }) => scenario === 'server-stateless')
    const failed = stateless.filter(({ status }) => status === 'FAILURE')
    expect(stateless.filter(({ status }) => status === 'SUCCESS').length).toBeGreaterThan(20)
    expect(failed.filter(({ errorMessage }) => !errorMessage?.startsWith('Not testable'))).toEqual(
      [],
    )
  })
})

describeIfInstalled(
  'the official conformance runner, as an identity provider and all behind it',
  () => {
    it('lets the client pass that `flows/cross-app-access` sends to the reference host', () => {
      const scenario = 'auth/enterprise-managed-authorization'
      const run = find({ command: 'client', scenario })
      expect(bad(run)).toEqual([])
      expect({ exitCode: run.exitCode, ...outcomes(run) }).toMatchObject({
        exitCode: 0,
        'complete-flow-token-exchange': 'SUCCESS',
        'complete-flow-jwt-bearer': 'SUCCESS',
        'valid-bearer-token': 'SUCCESS',
      })
    })
  },
)

/** Each of the scenarios was run, and all its checks succeeded. */
function expectSuccess(run: Run, scenarios: readonly string[]): void {
  const seen = scenarios.map((scenario) => {
    const statuses = run.checks.filter((one) => one.scenario === scenario).map((one) => one.status)
    return [scenario, [...new Set(statuses)].filter((status) => status !== 'INFO')]
  })
  expect(seen).toEqual(scenarios.map((scenario) => [scenario, ['SUCCESS']]))
}
