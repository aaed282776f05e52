/** A table in plain text: the first column to the left, numbers to the right. */
export function table(header, rows) {
  const lines = [header, ...rows].map((row) => row.map(String))
  const widths = header.map((_name, column) =>
    Math.max(...lines.map((line) => line[column].length)),
  )
  const text = lines.map((line) =>
    line
      .map((cell, column) =>
        column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]),
      )
      .join('  '),
  )
  return [text[0], '-'.repeat(text[0].length), ...text.slice(1)].join('\n')
}

/** The same in Markdown. */
export function markdownTable(header, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
  const rule = header.map((_name, column) => (column === 0 ? '---' : '---:'))
  return [line(header), line(rule), ...rows.map(line)].join('\n')
}
