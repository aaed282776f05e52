/** The project's own Markdown pages, read as GitHub reads them: code blocks, headings, links. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import GithubSlugger from 'github-slugger'
import { lexer, type Token, walkTokens } from 'marked'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A fenced block of code. */
export interface CodeBlock {
  /** The page and the line of the fence, for messages. */
  readonly at: string
  readonly language: string
  /** What stands behind the language: `fragment`, or a file name. */
  readonly info: string
  readonly text: string
}

/** A page. */
export interface Page {
  /** From the root of the repository. */
  readonly path: string
  readonly text: string
  readonly blocks: readonly CodeBlock[]
  /** Targets of links and images, as they are written. */
  readonly links: readonly string[]
  /** What a link to a part of this page may name. */
  readonly anchors: ReadonlySet<string>
  /** Text and code, without what is in fenced blocks. */
  readonly prose: string
}

/** README, the other pages at the root, and everything in `docs/` and the two folders that explain themselves. */
export function readPages(): readonly Page[] {
  const inDocs = readdirSync(`${root}docs`).filter((name) => name.endsWith('.md'))
  return [
    'README.md',
    'SECURITY.md',
    'CHANGELOG.md',
    'bench/README.md',
    'bench/RESULTS.md',
    ...inDocs.map((name) => `docs/${name}`),
  ].map((path) => readPage(path, readFileSync(root + path, 'utf8')))
}

/** Reads one page from its text. */
export function readPage(path: string, text: string): Page {
  const tokens = lexer(text)
  const slugger = new GithubSlugger()
  const blocks: CodeBlock[] = []
  const links: string[] = []
  const anchors = new Set<string>()
  let from = 0
  walkTokens(tokens, (token: Token) => {
    if (token.type === 'link' || token.type === 'image') links.push(token.href)
    if (token.type === 'heading') anchors.add(slugger.slug(plainText(token)))
    if (token.type === 'html') {
      for (const [, id = ''] of token.text.matchAll(/\bid="([^"]+)"/g)) anchors.add(id)
      for (const [, href = ''] of token.text.matchAll(/\b(?:src|href|srcset)="([^"]+)"/g))
        links.push(href)
    }
    if (token.type !== 'code' || token.codeBlockStyle === 'indented') return
    const start = text.indexOf(token.raw.trimEnd(), from)
    from = start + token.raw.length
    const [language = '', ...rest] = (token.lang ?? '').split(' ')
    const line = text.slice(0, start).split('\n').length
    blocks.push({ at: `${path}:${line}`, language, info: rest.join(' '), text: token.text })
  })
  const prose = blocks.reduce((left, block) => left.replace(block.text, ''), text)
  return { path, text, blocks, links, anchors, prose }
}

/** The text of a heading, as a reader sees it. */
function plainText(token: Token): string {
  if ('tokens' in token && token.tokens) return token.tokens.map(plainText).join('')
  return 'text' in token ? unescaped(String(token.text)) : ''
}

function unescaped(text: string): string {
  return text.replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')
}
