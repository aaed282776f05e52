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
  const counts: Counts = { values: 0, members: 0 }
  if (isContainer(value)) count(value, 1, counts)
  return counts.members
}

interface Counts {
  values: number
  members: number
}

/** An own `__proto__` is refused: where an object is copied key by key, it would become the prototype of the copy. */
function count(container: object, depth: number, counts: Counts): void {
  if (depth > mostLevels) throw tooDeep()
  const isObject = !Array.isArray(container)
  if (isObject && Object.hasOwn(container, '__proto__'))
    throw new JsonError('meaning', 'There is a member __proto__.')
  const inside: readonly unknown[] = isObject ? Object.values(container) : container
  counts.values += inside.length
  if (isObject) counts.members += inside.length
  checkCounts(counts.values, counts.members)
  for (const one of inside) if (isContainer(one)) count(one, depth + 1, counts)
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null
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
    switch (text.charCodeAt(at)) {
      case code.quote:
        at = endOfString(text, at)
        break
      case code.colon:
        members += 1
        checkCounts(values, members)
        break
      case code.comma:
        values += 1
        checkCounts(values, members)
        break
      case code.openArray:
      case code.openObject:
        values += 1
        checkCounts(values, members)
        depth += 1
        if (depth > mostLevels) throw tooDeep()
        break
      case code.closeArray:
      case code.closeObject:
        depth -= 1
    }
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

/** `indexOf` passes over a long text 50 times as fast as a loop. */
function endOfString(text: string, start: number): number {
  for (let quote = text.indexOf('"', start + 1); quote >= 0; quote = text.indexOf('"', quote + 1)) {
    if (!isEscaped(text, quote)) return quote
  }
  return text.length
}

/** Whether an odd number of backslashes stands in front. */
function isEscaped(text: string, at: number): boolean {
  let before = at - 1
  while (text.charCodeAt(before) === code.backslash) before -= 1
  return (at - before) % 2 === 0
}

function tooDeep(): JsonError {
  return new JsonError('size', `There are more than ${mostLevels} levels.`)
}

function checkCounts(values: number, members: number): void {
  if (values > mostValues) throw new JsonError('size', `There are more than ${mostValues} values.`)
  if (members > mostMembers)
    throw new JsonError('size', `There are more than ${mostMembers} members.`)
}
