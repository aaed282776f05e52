/**
 * Module hooks: what is imported with `?zod=zod-4-0` is loaded once more, and finds that zod wherever it imports one,
 * as do the packages of MCP that it imports.
 */

/** Packages that import zod, and so have to be loaded once for each. */
const carriers = /\/node_modules\/(?:@modelcontextprotocol|zod-to-json-schema)\//

export async function resolve(specifier, context, nextResolve) {
  const [name, asked] = specifier.split('?zod=')
  const zod = asked ?? context.parentURL?.split('?zod=')[1]
  if (zod === undefined) return nextResolve(specifier, context)
  const found = await nextResolve(name.replace(/^zod(?=$|\/)/, zod), context)
  return carriers.test(found.url) ? { ...found, url: `${found.url}?zod=${zod}` } : found
}
