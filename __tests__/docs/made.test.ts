/** What `npm run docs` makes from the code is as new as the code, and says everything. */
import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { outcomeByCode } from '../../lib/entra/error-codes.js'
import { OAuthError, type OAuthErrorCode } from '../../lib/oauth/errors.js'
import { readPage, readPages } from '../support/markdown.js'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string) => readFileSync(root + path, 'utf8')

describe('npm run docs', () => {
  it('would change nothing', async () => {
    const check = promisify(execFile)(process.execPath, ['docs/make/make.js', '--check'], {
      cwd: root,
    })
    const said = await check.then(
      () => '',
      ({ stderr }: { stderr: string }) => stderr,
    )
    expect(said).toBe('')
  }, 120_000)
})

describe('docs/flow.svg', () => {
  const svg = read('docs/flow.svg')

  it('shows every step of the source, and loads nothing from elsewhere', () => {
    const steps = [...read('docs/flow.mmd').matchAll(/^\s*\w+--?>>\w+: (.+)$/gm)]
    expect(steps.length).toBeGreaterThan(10)
    for (const [, step = ''] of steps) expect(svg).toContain(`data-label="${step}"`)
    expect(svg.replace('http://www.w3.org/2000/svg', '')).not.toMatch(/https?:|@import|<script/)
  })

  it('can be read on light and on dark', () => {
    const [light = '', dark = ''] = [...svg.matchAll(/--bg:(#\w+);--fg:(#\w+);--muted:(#\w+)/g)]
      .map(([, ground = '', ...inks]) => inks.map((ink) => [ground, ink]))
      .map((pairs) => pairs.map(([ground = '', ink = '']) => contrast(ground, ink)))
      .map((ratios) => String(Math.min(...ratios)))
    // WCAG 2.2, success criterion 1.4.3
    expect(Number(light)).toBeGreaterThan(4.5)
    expect(Number(dark)).toBeGreaterThan(4.5)
    expect(svg).toContain('@media (prefers-color-scheme: dark)')
  })
})

describe('docs/errors.md', () => {
  const text = read('docs/errors.md')
  const rows = text.split('\n').filter((line) => line.startsWith('| '))
  const sources = readdirSync(`${root}lib`, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.startsWith('testing'))
    .map((path) => read(`lib/${path}`).replaceAll("\\'", "'"))
    .join('\n')

  it('quotes what the code says', () => {
    const quoted = rows
      .map((row) => row.split(' | ')[1] ?? '')
      .flatMap((cell) => [...cell.matchAll(/"([^"]+)"/g)].map(([, quote = '']) => quote))
    expect(quoted.length).toBeGreaterThan(60)
    expect(quoted.filter((quote) => !sources.includes(quote))).toEqual([])
  })

  it('names every error code, with its status where it has one of its own', () => {
    const codes = [...read('lib/oauth/errors.ts').matchAll(/^ {2}(\w+): \d{3},$/gm)].map(
      ([, code = '']) => code as OAuthErrorCode,
    )
    expect(codes.length).toBeGreaterThan(15)
    expect(codes.filter((code) => !text.includes(`\`${code}\``))).toEqual([])
    const wrong = rows.flatMap((row) => {
      const [, status, code = ''] = /^\| (\d{3}) `(\w+)`/.exec(row) ?? []
      if (status === undefined || status === '405') return []
      const usual = new OAuthError(code as OAuthErrorCode, '').status
      return usual === Number(status) ? [] : [row]
    })
    expect(wrong).toEqual([])
  })

  it('has every AADSTS number', () => {
    const table = text.slice(text.indexOf('<!-- codes'), text.indexOf('## When the server starts'))
    const listed = table
      .split('\n')
      .flatMap((row) => /^\| ([\d, ]+) \|/.exec(row)?.[1]?.split(', ') ?? [])
    expect(listed.map(Number).sort()).toEqual([...outcomeByCode.keys()].sort())
  })
})

describe('every page', () => {
  it('names AADSTS numbers that the code knows', () => {
    const named = readPages().flatMap(({ path, text }) =>
      [...text.matchAll(/AADSTS ?(\d{5,7})/g)].map(([, code]) => ({ path, code: Number(code) })),
    )
    expect(named.length).toBeGreaterThan(20)
    expect(named.filter(({ code }) => !outcomeByCode.has(code))).toEqual([])
  })
})

describe('a page', () => {
  it('is read as GitHub reads it', () => {
    const page = readPage(
      'x.md',
      '# One `two`, three\n\n[a](b.md#c) ![d](e.svg)\n\n```ts fragment\nconst x = 1\n```\n\n# One `two`, three\n',
    )
    expect([...page.anchors]).toEqual(['one-two-three', 'one-two-three-1'])
    expect(page.links).toEqual(['b.md#c', 'e.svg'])
    expect(page.blocks).toEqual([
      { at: 'x.md:5', language: 'ts', info: 'fragment', text: 'const x = 1' },
    ])
    expect(page.prose).not.toContain('const x')
  })
})

/** Relative luminance and contrast, as WCAG 2.2 defines them. */
function contrast(one: string, other: string): number {
  const [light = 0, dark = 0] = [luminance(one), luminance(other)].sort((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

function luminance(color: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((index) => Number.parseInt(color.slice(index, index + 2), 16) / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4))
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
