/** HTML that cannot be made without escaping: what is put into it is text, unless it is HTML of the same kind. */

/** What may be put into HTML: text, which is escaped; HTML; nothing; or a list of those. */
export type Content = string | Html | undefined | readonly Content[]

export type { Html }

/** HTML that is safe to send. Only the tag {@link html} makes it. */
class Html {
  readonly #source: string

  constructor(source: string) {
    this.#source = source
  }

  toString(): string {
    return this.#source
  }
}

/** Makes HTML out of a template: its values are escaped, for content and for quoted attributes alike. */
export function html(strings: TemplateStringsArray, ...values: readonly Content[]): Html {
  return new Html(strings.map((string, i) => string + sourceOf(values[i])).join(''))
}

function sourceOf(content: Content): string {
  if (content === undefined) return ''
  if (typeof content === 'string') return escapeHtml(content)
  return content instanceof Html ? String(content) : content.map(sourceOf).join('')
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '')
}
