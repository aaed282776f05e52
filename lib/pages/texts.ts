/** What pages say: a table of texts for each language, and how the slots in a text are filled. */
import type { english } from './english.js'
import { type Content, type Html, html } from './html.js'

/**
 * The texts of all pages in one language: see the comments at the keys. What stands in braces (`{server}`) is a slot,
 * and each text has the same slots in every language. Texts are plain: HTML in them is shown, not obeyed.
 */
export type PageTexts = { readonly [Key in keyof typeof english]: string }

/** The name of a text. */
export type TextKey = keyof PageTexts

type SlotsIn<Text> = Text extends `${string}{${infer Slot}}${infer Rest}`
  ? Slot | SlotsIn<Rest>
  : never

/** What a text needs beside its name: nothing, or one object with what fills each of its slots. */
type Filling<Key extends TextKey> = [SlotsIn<(typeof english)[Key]>] extends [never]
  ? []
  : [filling: Readonly<Record<SlotsIn<(typeof english)[Key]>, Content>>]

/** Says a text in the language of the page: `say('signedInAs', { user: name })`. */
export type Say = <Key extends TextKey>(key: Key, ...filling: Filling<Key>) => Html

const slot = /\{(\w+)\}/

/** Makes HTML of the texts of one language. */
export function speaker(texts: PageTexts): Say {
  return (key, ...[filling]) => fill(texts[key], filling ?? {})
}

/** The slots of a text, in order. */
export function slotsOf(text: string): readonly string[] {
  return text.split(slot).filter((_part, i) => i % 2 === 1)
}

function fill(text: string, filling: Readonly<Record<string, Content>>): Html {
  return html`${text.split(slot).map((part, i) => (i % 2 === 1 ? filling[part] : part))}`
}
