/** JSON from strangers: bounded before it is parsed, and refused where two parsers could read it differently. */

/** Levels of arrays and objects within each other. An MCP call itself needs four. */
const mostLevels = 64
/** Values in one document. This many are parsed, read and copied in milliseconds; a million would take seconds. */
const mostValues = 100_000
/** Members of all objects in one document. Each costs ten times as much as a value in an array. */
const mostMembers = 25_000

/** JSON that is refused. */
export class JsonError extends Error {
  override readonly name = 'JsonError'
  /** `syntax`: not JSON. `size`: too deep, or too many values. `meaning`: parsers differ on what it says. */
  readonly reason: 'syntax' | 'size' | 'meaning'

  constructor(reason: JsonError['reason'], message: string, options: ErrorOptions = {}) {
    super(message, options)
    this.reason = reason
  }
}

/**
 * Parses JSON: one linear pass over the text, then `JSON.parse`, then one pass over the value.
 *
 * @throws JsonError for text that is not JSON, is more than 64 levels deep, has more than 100,000 values or 25,000
 * members, a repeated member (parsers keep the first, the last or both), or a member called `__proto__`
 * @see RFC 8259 section 4 (names that are not unique) and section 9 (limits)
 */
export function parseJson(text: string): unknown {
  const named = countMembers(text)
  const value = parse(text)
  // Of two equal names JSON.parse keeps one, however they are escaped in the text.
  if (checkJson(value) < named) throw new JsonError('meaning', 'A member is there twice.')
  return value
}

/**
 * Checks a value that was parsed elsewhere against the same limits. Repeated members can no longer be seen in it.
 *
 * @returns how many members its objects have
 * @throws JsonError
 */
export function checkJson(value: unknown): number {
  let members = 0
  let values = 0
  let level = isContainer(value) ? [value] : []
  for (let depth = 1; level.length > 0; depth += 1) {
    if (depth > mostLevels) throw tooDeep()
    const below: object[] = []
    for (const container of level) {
      const { named, inside } = contents(container)
      members += named
      values += inside.length
      checkCounts(values, members)
      for (const one of inside) if (isContainer(one)) below.push(one)
    }
    level = below
  }
  return members
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null
}

/** An own `__proto__` is refused: where an object is copied key by key, it would become the prototype of the copy. */
function contents(container: object): { named: number; inside: readonly unknown[] } {
  if (Array.isArray(container)) return { named: 0, inside: container }
  if (Object.hasOwn(container, '__proto__'))
    throw new JsonError('meaning', 'There is a member __proto__.')
  const inside: unknown[] = Object.values(container)
  return { named: inside.length, inside }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (cause) {
    throw new JsonError('syntax', 'The body is not JSON.', { cause })
  }
}

/** Counts members by their colons. The count is right for JSON, and any other text fails to parse later. */
function countMembers(text: string): number {
  let members = 0
  let values = 0
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const character = text.charCodeAt(at)
    if (character === code.quote) at = endOfString(text, at)
    else if (character === code.colon) members += 1
    else if (character === code.comma) values += 1
    else if (character === code.closeArray || character === code.closeObject) depth -= 1
    else if (character === code.openArray || character === code.openObject) {
      depth += 1
      values += 1
    }
    if (depth > mostLevels) throw tooDeep()
    checkCounts(values, members)
  }
  return members
}

const code = {
  quote: 0x22,
  comma: 0x2c,
  colon: 0x3a,
  openArray: 0x5b,
  backslash: 0x5c,
  closeArray: 0x5d,
  openObject: 0x7b,
  closeObject: 0x7d,
} as const

function endOfString(text: string, start: number): number {
  let at = start + 1
  for (; at < text.length; at += 1) {
    const character = text.charCodeAt(at)
    if (character === code.quote) return at
    if (character === code.backslash) at += 1
  }
  return at
}

function tooDeep(): JsonError {
  return new JsonError('size', `There are more than ${mostLevels} levels.`)
}

function checkCounts(values: number, members: number): void {
  if (values > mostValues) throw new JsonError('size', `There are more than ${mostValues} values.`)
  if (members > mostMembers)
    throw new JsonError('size', `There are more than ${mostMembers} members.`)
}
