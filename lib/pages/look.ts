/** How pages look to their readers: the languages they speak, and the operator's branding. */
import type { IncomingMessage } from 'node:http'
import type { Branding } from './branding.js'
import { english } from './english.js'
import { german } from './german.js'
import { chooseLanguage } from './language.js'
import { pageStyle, type Style } from './style.js'
import { type PageTexts, type Say, speaker } from './texts.js'

/** How a page looks to one reader. */
export interface Look {
  /** The language of the page (BCP 47). */
  readonly language: string
  readonly say: Say
  readonly branding: Branding
  readonly style: Style
}

/** The looks of all pages of one server. */
export interface Looks {
  /** The languages there are (BCP 47), English first. */
  readonly languages: readonly string[]
  /** The language that `ui_locales` names, if there is one here. @param uiLocales as the client sent it */
  languageFor(uiLocales?: string): string | undefined
  /**
   * The look for one reader: in the first language of `ui_locales` that there is, else of `Accept-Language`, else in
   * English.
   *
   * @param uiLocales as the client sent it, or what {@link languageFor} found in it
   */
  forReader(req: IncomingMessage, uiLocales?: string): Look
}

/** Options of {@link pageLooks}, checked. */
export interface LooksOptions {
  readonly branding?: Branding
  /** Complete tables, by language (BCP 47, in canonical form). */
  readonly texts?: Readonly<Record<string, PageTexts>>
}

/** Makes the looks of a server. */
export function pageLooks({ branding = {}, texts = {} }: LooksOptions = {}): Looks {
  const style = pageStyle(branding.accent)
  const tables = { en: english, de: german, ...texts }
  const lookIn = (language: string, table: PageTexts): Look =>
    Object.freeze({ language, say: speaker(table), branding, style })
  const looks = new Map(
    Object.entries(tables).map(([language, table]) => [language, lookIn(language, table)]),
  )
  const languages = Object.freeze([...looks.keys()])
  const inEnglish = lookIn('en', tables.en)
  return Object.freeze({
    languages,
    languageFor: (uiLocales?: string) => chooseLanguage(languages, { uiLocales }),
    forReader(req: IncomingMessage, uiLocales?: string): Look {
      const acceptLanguage = req.headers['accept-language']
      const language = chooseLanguage(languages, { uiLocales, acceptLanguage })
      return looks.get(language ?? 'en') ?? inEnglish
    },
  })
}
