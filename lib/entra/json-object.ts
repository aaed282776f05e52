/** Reading JSON that Entra sent: whatever is wrong with it, the caller sees an object without the members it needs. */

/** The members of a JSON object; none when the text is anything else. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
