/** Optional packages: the application installs those that it uses, and hears at once when one is missing. */

/** As `import.meta.resolve`. @throws when there is no such package */
type Resolve = (specifier: string) => string

/**
 * Checks that a package is installed, without loading it. It says nothing where it cannot tell: when the application
 * has been bundled into one file, packages are inside it, and not where they are looked for. This package is not to be
 * found then either.
 *
 * @param what needs it: `fileStorage`
 * @throws TypeError with the command that installs the package
 */
export function checkPeer(
  what: string,
  name: string,
  resolve: Resolve | undefined = import.meta.resolve as Resolve | undefined,
): void {
  if (resolve === undefined || !isFound('mcp-entra/package.json', resolve)) return
  if (isFound(name, resolve)) return
  throw new TypeError(`${what} needs the package "${name}", which is not installed: npm i ${name}`)
}

function isFound(specifier: string, resolve: Resolve): boolean {
  try {
    resolve(specifier)
    return true
  } catch {
    return false
  }
}
