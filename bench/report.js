/** What the parts have measured: as text for the terminal, and as a page with plots. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { drawBars } from './plot.js'
import { markdownTable, table } from './table.js'

/**
 * What a part returns. Tables have `title`, `header`, `rows`, `notes`; plots have what `drawBars` takes, and `file`;
 * targets are rows made by `target`.
 *
 * @typedef {{ title: string, notes?: string[], tables: object[], plots?: object[], targets?: string[][] }} Result
 */

/** @param {Result} result */
export function printResult({ title, notes = [], tables }) {
  console.log(`\n${title}\n${'='.repeat(title.length)}`)
  for (const note of notes) console.log(`\n${note}`)
  for (const { title, header, rows, notes = [] } of tables) {
    if (title) console.log(`\n${title}`)
    console.log(`\n${table(header, rows)}`)
    for (const note of notes) console.log(`\n${note}`)
  }
}

/**
 * Writes `RESULTS.md` and its plots.
 *
 * @param {URL} folder
 * @param {string[]} introduction lines on how the run was made
 * @param {Result[]} results
 */
export function writeResults(folder, introduction, results) {
  const plots = results.flatMap(({ plots = [] }) => plots)
  mkdirSync(new URL('plots/', folder), { recursive: true })
  for (const plot of plots) {
    writeFileSync(new URL(`plots/${plot.file}.svg`, folder), drawBars(plot))
  }
  const blocks = [
    '# Results',
    'Written by `npm run bench`. [README.md](README.md) says what is measured and how to read it.',
    introduction.map((line) => `- ${line}`).join('\n'),
    ...results.flatMap(resultBlocks),
  ]
  writeFileSync(new URL('RESULTS.md', folder), `${blocks.join('\n\n')}\n`)
}

function resultBlocks({ title, notes = [], tables, plots = [] }) {
  return [
    `## ${title}`,
    ...notes,
    ...plots.map(({ file, title }) => `![${title}](plots/${file}.svg)`),
    ...tables.flatMap(({ title, header, rows, notes = [] }) => [
      ...(title ? [`### ${title}`] : []),
      markdownTable(header, rows),
      ...notes,
    ]),
  ]
}
