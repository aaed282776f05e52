/** `docs/flow.svg`: the picture of the flow in `docs/flow.mmd`, for light and dark screens alike. */
import { readFile } from 'node:fs/promises'
import { renderMermaidSVG } from 'beautiful-mermaid'

const light = '--bg:#ffffff;--fg:#1f2328;--muted:#424a53;--line:#818b98;--border:#818b98;'
const dark = '--bg:#0d1117;--fg:#e6edf3;--muted:#c4ccd5;--line:#7d8590;--border:#7d8590;'

/** @returns {Promise<[name: string, text: string][]>} */
export async function flowDiagrams() {
  const source = await readFile(new URL('../flow.mmd', import.meta.url), 'utf8')
  return [['flow.svg', forBoth(renderMermaidSVG(source, { font: 'Segoe UI' }))]]
}

/** Colours by what the reader prefers, and no font from elsewhere. @throws Error when the library draws otherwise */
function forBoth(svg) {
  const styles = `svg { ${light} background: var(--bg) }
  @media (prefers-color-scheme: dark) { svg { ${dark} } }`
  const drawn = svg
    .replace(/ style="--bg:[^"]*"/, ' role="img" aria-label="How a tool call gets its token"')
    .replace(/\n *@import url\([^)]*\);/, `\n  ${styles}`)
  if (!drawn.includes(styles) || drawn.includes('--bg:#FFFFFF')) {
    throw new Error('docs/make/flow.js: beautiful-mermaid draws otherwise now')
  }
  return `${drawn.trim()}\n`
}
