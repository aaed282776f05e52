/** The tables of `docs/errors.md` that are made from the code: what Entra refuses, and what comes of it. */
import { readFile } from 'node:fs/promises'
import { outcomeByCode } from '../../dist/entra/error-codes.js'
import { EntraError } from '../../dist/entra/errors.js'
import { loginOutcome, refreshOutcome } from '../../dist/login/upstream-outcome.js'

const kinds = [...new Set([...outcomeByCode.values()].map(({ kind }) => kind))]

/** @returns {Promise<string>} the page, with its tables made anew */
export async function errorsPage(page) {
  return withTable(
    withTable(page, 'kinds', kindsTable(await readMeanings())),
    'codes',
    codesTable(),
  )
}

/** What each kind of failure means, and what a client hears of it. */
function kindsTable(meanings) {
  const rows = kinds.map((kind) => {
    const error = new EntraError(kind, kind)
    const login = loginOutcome(error)
    const refresh = refreshOutcome(error)
    return [
      `\`${kind}\``,
      meanings.get(kind),
      `\`${login.code}\`: ${login.description}`,
      `${refresh.status} \`${refresh.code}\`: ${refresh.description}`,
    ]
  })
  return table(['kind', 'what it means', 'at a login, by redirect', 'at a refresh'], rows)
}

/** The list in the comment of `EntraFailureKind`. @throws Error when a kind is not in it */
async function readMeanings() {
  const source = await readFile(new URL('../../lib/entra/errors.ts', import.meta.url), 'utf8')
  const meanings = new Map(
    [...source.matchAll(/^ \* - `(\w+)`: (.+)$/gm)].map(([, kind, text]) => [kind, text]),
  )
  const missing = kinds.filter((kind) => !meanings.has(kind))
  if (missing.length > 0) throw new Error(`lib/entra/errors.ts does not explain: ${missing}`)
  return meanings
}

/** Every number that is known, those of one remedy in one row, in the order of the code. */
function codesTable() {
  const rows = new Map()
  for (const [code, { kind, hint }] of outcomeByCode) {
    const key = `${kind} ${hint ?? ''}`
    const row = rows.get(key) ?? { codes: [], kind, hint }
    row.codes.push(code)
    rows.set(key, row)
  }
  return table(
    ['AADSTS', 'kind', 'what to do'],
    [...rows.values()].map(({ codes, kind, hint }) => [
      codes.join(', '),
      `\`${kind}\``,
      hint === undefined ? '–' : escaped(hint),
    ]),
  )
}

/** Placeholders such as `<client id>` would be taken for HTML. */
const escaped = (text) => text.replace(/<(?=\w)(?![^`]*`[^`]*$)/g, '\\<')

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

/** Replaces what stands between the two comments of this name. @throws Error where there are none */
function withTable(page, name, text) {
  const pattern = new RegExp(`(<!-- ${name}: npm run docs -->\n)[^]*?(\n<!-- end -->)`)
  if (!pattern.test(page)) throw new Error(`docs/errors.md has no place for the table "${name}"`)
  return page.replace(pattern, (_, start, end) => `${start}\n${text}\n${end}`)
}
