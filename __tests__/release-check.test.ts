/** What `npm publish` runs first. */
import { expect, it } from '@jest/globals'
import { obstacles } from '../release-check.js'

const manifest = {
  version: '1.2.3',
  homepage: 'https://contoso.com/mcp-entra',
  bugs: { url: 'https://contoso.com/mcp-entra/issues' },
  repository: { type: 'git', url: 'git+https://contoso.com/mcp-entra.git' },
}
const changelog = '# Changelog\n\n## 1.2.3\n\n- First.\n'

it('finds nothing in a package that is ready', () => {
  expect(obstacles(manifest, changelog)).toEqual([])
})

it('names the fields that nobody has set', () => {
  const { bugs: _missing, ...rest } = { ...manifest, repository: 'https://example.com/mcp-entra' }
  expect(obstacles(rest, changelog)).toEqual([
    'package.json: set "bugs" to where the project lives',
    'package.json: set "repository" to where the project lives',
  ])
})

it('wants the version in the changelog', () => {
  expect(obstacles({ ...manifest, version: '1.2.4' }, changelog)).toEqual([
    'CHANGELOG.md: there is no "## 1.2.4"',
  ])
})
