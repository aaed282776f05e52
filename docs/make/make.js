/**
 * Makes the parts of the documentation that are made from the code: `npm run docs`. With `--check` it writes nothing, and
 * names what is out of date.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { errorsPage } from './errors.js'
import { flowDiagrams } from './flow.js'
import { optionsPage } from './options.js'

const docs = fileURLToPath(new URL('..', import.meta.url))

/** Each file with its text. */
const files = [
  ['options.md', await optionsPage()],
  ['errors.md', await errorsPage(await readFile(`${docs}errors.md`, 'utf8'))],
  ...(await flowDiagrams()),
]

const stale = []
for (const [name, text] of files) {
  const there = await readFile(docs + name, 'utf8').catch(() => undefined)
  if (there !== text) stale.push([name, text])
}
if (process.argv.includes('--check')) {
  for (const [name] of stale) console.error(`docs/${name} is out of date: npm run docs`)
  process.exitCode = stale.length > 0 ? 1 : 0
} else {
  for (const [name, text] of stale) await writeFile(docs + name, text)
  console.log(stale.length > 0 ? stale.map(([name]) => `docs/${name}`).join('\n') : 'Nothing new.')
}
