/**
 * Reads the Bicep that we write. No npm package has a Bicep compiler (Microsoft ships it through NuGet and as a download
 * of its own), so this is a reader of the part of the language that is used: comments, `extension`, `param`, `output`,
 * `resource` with objects, arrays and strings. Whatever else stands for a value is kept as an expression. It is strict:
 * a text that ends early or goes on after its quote is an error.
 *
 * @see https://learn.microsoft.com/azure/azure-resource-manager/bicep/file
 */

export type BicepValue =
  | string
  | number
  | boolean
  | Expression
  | readonly BicepValue[]
  | { readonly [name: string]: BicepValue }

/** What is not a literal, as it is written. */
export class Expression {
  constructor(readonly text: string) {}
}

export interface BicepResource {
  readonly name: string
  readonly type: string
  readonly existing: boolean
  readonly body: Readonly<Record<string, BicepValue>>
}

export interface BicepFile {
  readonly resources: readonly BicepResource[]
  /** The other statements, one line each. */
  readonly statements: readonly string[]
}

/** @throws Error for anything it does not know */
export function readBicep(text: string): BicepFile {
  const resources: BicepResource[] = []
  const statements: string[] = []
  let at = 0

  const rest = () => text.slice(at)
  const fail = (what: string): never => {
    throw new Error(`${what} at: ${rest().slice(0, 60)}`)
  }
  const skip = () => {
    at += /^(?:\s|\/\/[^\n]*)*/.exec(rest())?.[0].length ?? 0
  }
  const take = (pattern: RegExp, what: string): RegExpExecArray => {
    const match = new RegExp(`^(?:${pattern.source})`, pattern.flags).exec(rest())
    if (!match) return fail(`${what} expected`)
    at += match[0].length
    return match
  }

  /** With an interpolation, a text is an expression. */
  const string = (): string | Expression => {
    const start = at
    take(/'/, 'a text')
    let value = ''
    let plain = true
    for (;;) {
      if (rest().startsWith("'")) break
      if (rest().startsWith('${')) {
        plain = false
        take(/\$\{[\w().]+\}/, 'a simple expression')
        continue
      }
      const [char, codePoint, escaped] = take(/\\u\{([0-9a-f]+)\}|\\(.)|[^\\'\n\r]/u, 'a character')
      if (codePoint !== undefined) value += String.fromCodePoint(Number.parseInt(codePoint, 16))
      else if (escaped !== undefined) value += escapes[escaped] ?? fail(`unknown escape ${char}`)
      else value += char
    }
    at += 1
    return plain ? value : new Expression(text.slice(start, at))
  }

  const value = (): BicepValue => {
    if (rest().startsWith("'")) return string()
    if (rest().startsWith('{')) return object()
    if (rest().startsWith('[')) return array()
    const word = take(
      /(?:[^\n[\]{}']|'[^'\n]*'|\[\d+\]|\[\s*(?:'[^'\n]*'\s*)*\])+/,
      'a value',
    )[0].trim()
    if (/^\d+$/.test(word)) return Number(word)
    return word === 'true' || word === 'false' ? word === 'true' : new Expression(word)
  }
  const object = (): Record<string, BicepValue> => {
    take(/\{/, '{')
    const members: Record<string, BicepValue> = {}
    for (skip(); !rest().startsWith('}'); skip()) {
      const [, name = ''] = take(/([a-zA-Z]\w*): /, 'a member')
      if (Object.hasOwn(members, name)) fail(`${name} twice`)
      members[name] = value()
      take(/[ \t]*\r?\n/, 'the end of the line')
    }
    at += 1
    return members
  }
  const array = (): BicepValue[] => {
    take(/\[/, '[')
    const items: BicepValue[] = []
    for (skip(); !rest().startsWith(']'); skip()) items.push(value())
    at += 1
    return items
  }

  for (skip(); at < text.length; skip()) {
    if (!rest().startsWith('resource ')) {
      statements.push(take(/(?:extension|param|output|@description)\b[^\n]*/, 'a statement')[0])
      continue
    }
    const [, name = '', type = '', existing] = take(
      /resource (\w+) '([^'\n]+)'( existing)? = /,
      'a resource',
    )
    resources.push({ name, type, existing: existing !== undefined, body: object() })
  }
  return { resources, statements }
}

const escapes: Readonly<Record<string, string>> = {
  "'": "'",
  '\\': '\\',
  n: '\n',
  r: '\r',
  t: '\t',
  $: '$',
}
