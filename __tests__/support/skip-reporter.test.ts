/** What a run says of tests that this machine could not run. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { describeNeeding } from './needs.js'
import { noSkips, report, skippedTests } from './skip-reporter.mjs'

const root = fileURLToPath(new URL('../..', import.meta.url))
const jest = fileURLToPath(new URL('../../node_modules/jest/bin/jest.js', import.meta.url))
const install = process.platform === 'darwin' ? 'brew install' : 'sudo apt-get install -y'

const test = (status: string, ...titles: string[]) => ({
  status,
  fullName: titles.join(' '),
  ancestorTitles: titles.slice(0, -1),
})
const results = [
  {
    testResults: [
      test('passed', 'a store', 'keeps'),
      test('failed', 'a store', 'forgets'),
      test('pending', 'needs redis-server', 'Redis', 'counts'),
    ],
  },
  {
    testResults: [
      test('pending', 'needs redis-server', 'Redis', 'sweeps'),
      test('pending', 'needs chromium', 'pages', 'are read'),
      test('pending', 'somebody tries things', 'later'),
      test('todo', 'some day'),
    ],
  },
]

describe('the end of a run', () => {
  it('counts what was skipped, by what it needs, in one block with one command', () => {
    expect(report(skippedTests(results), 'linux')).toBe(
      'SKIPPED: 3 tests\n  2 without redis-server\n  1 without chromium\n' +
        'To run them: sudo apt-get install -y redis-server chromium',
    )
    expect(report(skippedTests(results), 'darwin')).toContain('brew install redis chromium')
  })

  it('brings the conformance runner from npm, alone or with the rest', () => {
    const runner = { title: 'a', need: 'conformance runner' }
    const npm = 'npm ci --prefix __tests__/conformance'
    expect(report([runner], 'linux')).toContain(`\nTo run them: ${npm}`)
    expect(report([runner, { title: 'b', need: 'strace' }], 'linux')).toContain(
      `\nTo run them: sudo apt-get install -y strace && ${npm}`,
    )
  })

  it('says nothing when everything was run, or left out on purpose', () => {
    expect(report([])).toBe('')
    expect(report([{ title: 'later', need: undefined }])).toBe('')
  })

  it('has the last word, and the run fails with MCP_ENTRA_NO_SKIPS=1', async () => {
    const suite = '__tests__/flows/browser.test.ts'
    const printed = async (setting: string) => {
      const env = { ...process.env, CHROMIUM: '/nowhere', MCP_ENTRA_NO_SKIPS: setting }
      const args = ['--experimental-vm-modules', jest, suite, '--json']
      const child = spawn(process.execPath, args, {
        cwd: root,
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const [out, err, [code]] = await Promise.all([
        text(child.stdout),
        text(child.stderr),
        once(child, 'close'),
      ])
      const { numPendingTests, numTotalTests } = JSON.parse(out)
      return { code, err, all: numTotalTests, skipped: numPendingTests }
    }
    const [lenient, strict] = await Promise.all([printed('0'), printed('1')])
    const { all } = lenient
    const block = `\nSKIPPED: ${all} tests\n  ${all} without chromium\nTo run them: ${install} chromium\n`
    expect(all).toBeGreaterThan(20)
    expect(lenient).toMatchObject({ code: 0, skipped: all })
    expect(lenient.err.endsWith(`\n${block}`)).toBe(true)
    expect(strict).toMatchObject({ code: 1, skipped: all })
    expect(strict.err.endsWith(block)).toBe(true)
    expect(strict.err).toContain(`\nMCP_ENTRA_NO_SKIPS: ${all} tests were skipped:\n`)
  })

  it('is a failure with MCP_ENTRA_NO_SKIPS=1 for whatever reason a test was skipped', () => {
    const failure = (...tests: ReturnType<typeof test>[]) =>
      noSkips(skippedTests([{ testResults: tests }]))
    expect(failure(test('passed', 'a'))).toBeUndefined()
    for (const status of ['pending', 'todo', 'disabled'])
      expect(failure(test('passed', 'a'), test(status, 'b', 'c'))).toEqual(
        new Error('MCP_ENTRA_NO_SKIPS: 1 test was skipped:\n  b c'),
      )
  })
})

describe('describeNeeding', () => {
  it('is describe itself where the need is there', () => {
    expect(describeNeeding('strace', true)).toBe(describe)
  })
})
