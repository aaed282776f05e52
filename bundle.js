/**
 * Joins what `tsc -b lib` has made into a file for each subpath that a server imports, and one that they share: 130
 * files take 45 ms to load, and these take 6. Names, types and line breaks stay, so that it can be read as it is.
 */
import { readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('.', import.meta.url))
const outdir = 'dist/bundle'

const { metafile } = await build({
  absWorkingDir: root,
  entryPoints: {
    index: 'dist/index.js',
    redis: 'dist/storage/redis.js',
    file: 'dist/storage/file.js',
    account: 'dist/account/index.js',
  },
  outdir,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  packages: 'external',
  metafile: true,
})

await removeStale()

// Only now: programs that run at the same time find the old files until the new ones are there.
const made = new Set(Object.keys(metafile.outputs).map((path) => basename(path)))
for (const name of await readdir(`${root}${outdir}`)) {
  if (!made.has(name)) await rm(`${root}${outdir}/${name}`)
}

/** What `tsc` has made of sources that are gone: it would be published. */
async function removeStale() {
  const sources = new Set(await readdir(`${root}lib`, { recursive: true }))
  for (const path of await readdir(`${root}dist`, { recursive: true })) {
    const source = path.replace(/(\.d)?\.[jt]s$/, '.ts')
    const isOurs = path.startsWith('bundle') || sources.has(source)
    if (!isOurs) await rm(join(root, 'dist', path), { recursive: true, force: true })
  }
}
