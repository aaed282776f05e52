/** How pages look to their readers: the languages they speak, and the operator's branding. */
import type { IncomingMessage } from 'node:http'
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
  readonly style: Style
}

/** The looks of all pages of one server. */
export interface Looks {
  /** The languages there are (BCP 47), English first. */
  readonly languages: readonly string[]
  /**
   * The look for one reader: in the first language of `ui_locales` that there is, else of `Accept-Language`, else in
   * English.
   *
   * @param uiLocales as the client sent it
   */
  forReader(req: IncomingMessage, uiLocales?: string): Look
}

/** Makes the looks of a server. */
export function pageLooks(): Looks {
  const style = pageStyle()
  const texts: Readonly<Record<string, PageTexts>> = { en: english, de: german }
  const byLanguage = new Map(
    Object.entries(texts).map(([language, table]): [string, Look] => [
      language,
      Object.freeze({ language, say: speaker(table), style }),
    ]),
  )
  const languages = Object.freeze([...byLanguage.keys()])
  const inEnglish = byLanguage.get('en') as Look
  return Object.freeze({
    languages,
    forReader(req: IncomingMessage, uiLocales?: string): Look {
      const acceptLanguage = req.headers['accept-language']
      const language = chooseLanguage(languages, { uiLocales, acceptLanguage })
      return byLanguage.get(language ?? 'en') ?? inEnglish
    },
  })
}
