/**
 * A jest reporter: at the very end of a run, one block that says which tests were skipped for want of a program, and
 * the command that brings it. With `MCP_ENTRA_NO_SKIPS=1` (`.ci/run`) a skipped test is a failed run.
 */

/** The titles that `needs.ts` gives to skipped blocks. */
const needTitle = /^needs (.+)$/

const installers = {
  linux: { install: 'sudo apt-get install -y', names: {} },
  darwin: {
    install: 'brew install',
    names: { 'redis-server': 'redis', strace: undefined },
  },
}

/** What npm brings, or is needed for. */
const npmCommands = {
  'conformance runner': 'npm ci --prefix __tests__/conformance',
  'npm registry': 'npm ping',
}

export default class SkipReporter {
  #skipped = []

  onRunComplete(_contexts, { testResults }) {
    this.#skipped = skippedTests(testResults)
    // Jest fails for `getLastError` without printing it.
    const texts = [this.getLastError()?.message, report(this.#skipped)].filter(Boolean)
    // Reporters of a configuration come before the coverage table and the summary; this is to be the last word.
    process.once('exit', () => process.stderr.write(texts.map((text) => `\n${text}\n`).join('')))
  }

  /** Jest ends with 1 when there is one. */
  getLastError() {
    return process.env.MCP_ENTRA_NO_SKIPS === '1' ? noSkips(this.#skipped) : undefined
  }
}

/** Every test that was not run, with what it would have needed. */
export function skippedTests(testResults) {
  return testResults.flatMap(({ testResults: tests }) =>
    tests
      .filter(({ status }) => status !== 'passed' && status !== 'failed')
      .map(({ fullName, ancestorTitles }) => ({ title: fullName, need: needOf(ancestorTitles) })),
  )
}

function needOf(titles) {
  return titles.map((title) => needTitle.exec(title)?.[1]).find(Boolean)
}

/** The failure of a run that may skip nothing. */
export function noSkips(skipped) {
  if (skipped.length === 0) return undefined
  const count = skipped.length === 1 ? '1 test was' : `${skipped.length} tests were`
  const titles = skipped.map(({ title }) => `\n  ${title}`).join('')
  return new Error(`MCP_ENTRA_NO_SKIPS: ${count} skipped:${titles}`)
}

/** The block, or nothing when no test was skipped for want of a program. */
export function report(skipped, platform = process.platform) {
  const counts = new Map()
  for (const { need } of skipped) if (need) counts.set(need, (counts.get(need) ?? 0) + 1)
  if (counts.size === 0) return ''
  const total = [...counts.values()].reduce((sum, count) => sum + count)
  const lines = [...counts].map(([need, count]) => `  ${count} without ${need}`)
  const heading = `SKIPPED: ${total} ${total === 1 ? 'test' : 'tests'}`
  const command = remedy([...counts.keys()], platform)
  return [heading, ...lines, `To run them: ${command}`].join('\n')
}

/** One command line for everything that is missing. */
function remedy(needs, platform) {
  const { install, names } = installers[platform] ?? installers.linux
  const packages = needs
    .filter((need) => !(need in npmCommands))
    .map((need) => (need in names ? names[need] : need))
    .filter(Boolean)
  const commands = [
    ...(packages.length > 0 ? [`${install} ${packages.join(' ')}`] : []),
    ...needs.filter((need) => need in npmCommands).map((need) => npmCommands[need]),
  ]
  return commands.join(' && ') || 'a machine with Linux'
}
