/**
 * Joins what `tsc -b lib` has made into a file for each subpath that a server imports, and one that they share: 130
 * files take 45 ms to load, and these take 6. Names, types and line breaks stay, so that it can be read as it is.
 */
import { readdir, rm } from 'node:fs/promises'
import { basename } from 'node:path'
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

// Only now: programs that run at the same time find the old files until the new ones are there.
const made = new Set(Object.keys(metafile.outputs).map((path) => basename(path)))
for (const name of await readdir(`${root}${outdir}`)) {
  if (!made.has(name)) await rm(`${root}${outdir}/${name}`)
}
