/** Which language a reader gets: the application's wish first, then the browser's. */

/** What a request says about the languages of its user. */
export interface LanguageWishes {
  /** `ui_locales`: tags with blanks between them, the best first. @see OpenID Connect Core 1.0 section 3.1.2.1 */
  readonly uiLocales?: string | undefined
  /** The header `Accept-Language`. @see RFC 9110 section 12.5.4 */
  readonly acceptLanguage?: string | undefined
}

/** Longest list of languages that is read, in characters: a longer one is no list of what somebody speaks. */
const longestWish = 500

/**
 * Picks the language of a page. What cannot be read is passed over: nobody goes without a page for a wish.
 *
 * @param available tags (BCP 47) in their canonical form
 * @returns one of `available`, or undefined when none is wished for
 */
export function chooseLanguage(
  available: readonly string[],
  { uiLocales, acceptLanguage }: LanguageWishes,
): string | undefined {
  const wishes = [...readUiLocales(uiLocales), ...readAcceptLanguage(acceptLanguage)]
  for (const wish of wishes) {
    const found = lookUp(available, wish)
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * The path of a page of ours, for a reader whose language has been named: the page about an error there has it, too.
 *
 * @param language one of those that there are, if one has been named
 */
export function pathInLanguage(path: string, language: string | undefined): string {
  return language === undefined ? path : `${path}?ui_locales=${language}`
}

function readUiLocales(value = ''): readonly string[] {
  return value.length > longestWish ? [] : value.split(' ')
}

function readAcceptLanguage(value = ''): readonly string[] {
  if (value.length > longestWish) return []
  return value
    .split(',')
    .map(readRange)
    .filter(({ weight }) => weight > 0)
    .sort((a, b) => b.weight - a.weight)
    .map(({ tag }) => tag)
}

/** `de-AT;q=0.8`. A weight that is none counts as zero. @see RFC 9110 section 12.4.2 */
function readRange(text: string): { readonly tag: string; readonly weight: number } {
  const [tag = '', ...params] = text.split(';').map((part) => part.trim())
  const [, weight = '1'] = params.map((param) => param.split('=')).find(isWeight) ?? []
  return { tag, weight: /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(weight) ? Number(weight) : 0 }
}

function isWeight([name]: readonly string[]): boolean {
  return name?.toLowerCase() === 'q'
}

/** `de-AT`, then `de`. @see RFC 4647 section 3.4 */
function lookUp(available: readonly string[], wish: string): string | undefined {
  const subtags = wish.toLowerCase().split('-')
  for (let length = subtags.length; length > 0; length--) {
    const range = subtags.slice(0, length).join('-')
    const found = available.find((tag) => tag.toLowerCase() === range)
    if (found !== undefined) return found
  }
  return undefined
}
