/**
 * Prints all exports of all subpaths as JSON, as the declarations in `dist/` have them: the name, whether it is a value, and
 * the members of an interface with those it extends.
 */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const root = fileURLToPath(new URL('../..', import.meta.url))
const { exports } = JSON.parse(await readFile(`${root}package.json`, 'utf8'))
const entries = Object.entries(exports).flatMap(([subpath, { types }]) =>
  types === undefined ? [] : [{ subpath, file: root + types.slice(2) }],
)
const program = ts.createProgram(
  entries.map(({ file }) => file),
  { module: ts.ModuleKind.NodeNext, skipLibCheck: true, types: ['node'] },
)
const checker = program.getTypeChecker()

console.log(JSON.stringify(entries.flatMap(exportsOf)))

function exportsOf({ subpath, file }) {
  const symbol = checker.getSymbolAtLocation(program.getSourceFile(file))
  return checker.getExportsOfModule(symbol).map((given) => {
    const real = given.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(given) : given
    const isInterface = (real.flags & ts.SymbolFlags.Interface) !== 0
    const type = isInterface ? checker.getDeclaredTypeOfSymbol(real) : undefined
    return {
      subpath,
      name: given.name,
      isValue: (real.flags & ts.SymbolFlags.Value) !== 0,
      members: type?.getProperties().map(({ name }) => name) ?? [],
    }
  })
}
