/** `docs/options.md`: every export of every subpath, from the comments in the code, by TypeDoc. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Application } from 'typedoc'

const root = fileURLToPath(new URL('../..', import.meta.url))

const intro = `# Options and exports

Made by \`npm run docs\` from the comments in the code: change those, not this page. [README.md](../README.md) says what to
begin with. Times are in seconds. The options of [\`entraAuth\`](#entraauthoptions) and [\`entraScopes\`](#entrascopesoptions)
are the ones to know.
`

/** @returns {Promise<string>} the page */
export async function optionsPage() {
  const subpaths = await readSubpaths()
  const folder = await mkdtemp(join(tmpdir(), 'mcp-entra-docs-'))
  try {
    const names = await generate(subpaths, folder)
    const parts = await Promise.all(
      subpaths.map(async ({ name }, index) =>
        part(name, await readFile(join(folder, `${names[index]}.md`), 'utf8')),
      ),
    )
    const contents = subpaths.map(({ name }) => `- [${name}](#${name.replace('/', '')})`)
    return [intro, `${contents.join('\n')}\n`, ...parts].join('\n')
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** What the package exports: the name to import, and the file in \`lib/\`. */
async function readSubpaths() {
  const { name, exports } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))
  return Object.entries(exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([subpath, { types }]) => ({
      name: subpath === '.' ? name : name + subpath.slice(1),
      file: types.replace(/^\.\/dist\//, 'lib/').replace(/\.d\.ts$/, '.ts'),
    }))
}

/** Writes a Markdown file for each subpath. @returns their names, in order */
async function generate(subpaths, out) {
  const app = await Application.bootstrapWithPlugins({
    plugin: ['typedoc-plugin-markdown'],
    entryPoints: subpaths.map(({ file }) => root + file),
    tsconfig: `${root}lib/tsconfig.json`,
    out,
    logLevel: 'Error',
    readme: 'none',
    router: 'module',
    sort: ['source-order'],
    groupOrder: ['Functions', 'Interfaces', 'Classes', 'Type Aliases'],
    disableSources: true,
    excludeInternal: true,
    excludeExternals: true,
    skipErrorChecking: true,
    hidePageHeader: true,
    hideBreadcrumbs: true,
    hideGroupHeadings: true,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    classPropertiesFormat: 'table',
    typeDeclarationFormat: 'table',
    tableColumnSettings: { hideModifiers: true, hideInherited: true, hideOverrides: true },
  })
  const project = await app.convert()
  if (!project || app.logger.hasErrors()) throw new Error('TypeDoc could not read lib/')
  await app.generateOutputs(project)
  return subpaths.map(({ file }) => (subpaths.length > 1 ? nameOf(file) : 'README'))
}

/** As TypeDoc names a module: its path in \`lib/\`, and an \`index\` after its folder. */
function nameOf(file) {
  return file
    .replace(/^lib\//, '')
    .replace(/(.)\/index\.ts$/, '$1')
    .replace(/\.ts$/, '')
}

/** One module's file as a part of the page: one level deeper, with links inside the page. */
function part(name, markdown) {
  const body = markdown
    .replace(/^# .*\n+/, '')
    .replace(/<a id="[^"]*"><\/a> /g, '')
    .replace(/\[(`[^`]+`)\]\(#property-[^)]*\)/g, '$1')
    .replace(/\]\((?:\.\.\/)*[\w/-]+\.md#/g, '](#')
    .replace(/^\*\*\*\n\n/gm, '')
  return `## ${name}\n\n${shifted(body)}`
}

/** Headings outside of code, one level deeper where there is one. */
function shifted(markdown) {
  let isCode = false
  return markdown
    .split('\n')
    .map((line) => {
      if (line.startsWith('```')) isCode = !isCode
      return isCode ? line : line.replace(/^(#{1,5}) /, '#$1 ').trimEnd()
    })
    .join('\n')
}
