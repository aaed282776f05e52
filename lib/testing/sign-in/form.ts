/** Reads the forms of the pages that a sign-in shows: ours and the emulator's, not the web's. */

/** A submit button. */
export interface Button {
  readonly name: string
  readonly value: string
  /** Its text. */
  readonly label: string
}

/** What is sent when a form's button is pressed. */
export interface Form {
  /** Where it goes: a URL or a path. */
  readonly action: string
  readonly fields: Readonly<Record<string, string>>
}

/** Finds the form that has such a button. @returns its hidden fields and the button's, or undefined when there is none */
export function findForm(html: string, isWanted: (button: Button) => boolean): Form | undefined {
  for (const [form, opening = ''] of html.matchAll(/<form\b([^>]*)>[\s\S]*?<\/form>/gi)) {
    const button = buttons(form).find(isWanted)
    if (!button) continue
    const action = attributes(opening).action ?? ''
    return { action, fields: { ...hiddenFields(form), [button.name]: button.value } }
  }
  return undefined
}

function buttons(form: string): Button[] {
  const found = form.matchAll(/<button\b([^>]*)>([\s\S]*?)<\/button>/gi)
  return [...found].map(([, opening = '', content = '']) => {
    const { name = '', value = '' } = attributes(opening)
    return { name, value, label: unescapeHtml(content.replace(/<[^>]*>/g, '')).trim() }
  })
}

function hiddenFields(form: string): Record<string, string> {
  const inputs = [...form.matchAll(/<input\b([^>]*)>/gi)].map(([, opening = '']) =>
    attributes(opening),
  )
  const hidden = inputs.filter(({ type }) => type === 'hidden')
  return Object.fromEntries(hidden.map(({ name = '', value = '' }) => [name, value]))
}

function attributes(opening: string): Record<string, string | undefined> {
  const found = opening.matchAll(/([\w-]+)="([^"]*)"/g)
  return Object.fromEntries([...found].map(([, name, value = '']) => [name, unescapeHtml(value)]))
}

const named: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', amp: '&' }

/** Undoes the escaping of our pages, which names characters, and that of the emulator's, which numbers them. */
function unescapeHtml(text: string): string {
  return text.replace(/&(?:#(\d+)|(lt|gt|quot|amp));/g, (_entity, code, name) =>
    code === undefined ? (named[name] ?? '') : String.fromCodePoint(Number(code)),
  )
}
