/**
 * `npm publish` runs this first (`prepublishOnly`), and does not go on when it finds something: fields of package.json
 * that nobody has set yet, and a version that CHANGELOG.md does not know. The checklist is docs/releasing.md.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const fields = ['homepage', 'bugs', 'repository']

/**
 * What stands in the way of a release, a line each.
 *
 * @param {Record<string, unknown>} manifest package.json
 * @param {string} changelog CHANGELOG.md
 * @returns {string[]}
 */
export function obstacles(manifest, changelog) {
  // example.com belongs to nobody (RFC 2606 section 3).
  const unset = fields.filter((field) => {
    const text = JSON.stringify(manifest[field]) ?? ''
    return text === '' || text.includes('example.com')
  })
  const known = changelog.split('\n').includes(`## ${manifest.version}`)
  return [
    ...unset.map((field) => `package.json: set "${field}" to where the project lives`),
    ...(known ? [] : [`CHANGELOG.md: there is no "## ${manifest.version}"`]),
  ]
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const read = (name) => readFile(new URL(name, import.meta.url), 'utf8')
  const found = obstacles(JSON.parse(await read('package.json')), await read('CHANGELOG.md'))
  for (const line of found) console.error(line)
  process.exitCode = found.length === 0 ? 0 : 1
}
