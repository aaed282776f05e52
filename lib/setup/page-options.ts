/** The options of `entraAuth` about pages: the operator's branding, and languages beside English and German. */
import { hasUserinfo } from '../oauth/userinfo.js'
import { accentOf } from '../pages/accent.js'
import type { Branding, Logo } from '../pages/branding.js'
import { english } from '../pages/english.js'
import { type Looks, pageLooks } from '../pages/look.js'
import { type PageTexts, slotsOf } from '../pages/texts.js'
import { visibleText } from '../pages/visible-text.js'

/** What pages show of the operator. There are no templates: what users rely on stays where it is. */
export interface BrandingOptions {
  /**
   * Your organisation or service, in the header of every page. What users give access to is named by `resourceName`,
   * in the text of the pages and in metadata.
   */
  readonly name?: string
  /**
   * An image for the header: `data:image/svg+xml;base64,…` (png, svg+xml, jpeg, webp, gif; 64 KiB at most: it travels
   * with every page), or the path of an image on this server, such as `/logo.svg`. It says nothing to screen readers:
   * give a `name` with it.
   */
  readonly logo?: string
  /**
   * The colour of buttons and links: `#rrggbb`, with a contrast of 4.5:1 or more to white (WCAG 2.2, 1.4.3). The dark
   * scheme gets the nearest lighter shade that can be read there.
   */
  readonly accentColor?: string
  /** A link on every page to where users get help: https or mailto. */
  readonly supportUrl?: string
}

/** Options about pages. */
export interface PageOptions {
  readonly branding?: BrandingOptions
  /**
   * Languages beside English (`en`) and German (`de`), or other words for those: `{ fr: { consentTitle: '…', … } }`.
   * A table has every text; the slots of each (`{server}`) are those of the English text.
   */
  readonly texts?: Readonly<Record<string, PageTexts>>
}

/** Bytes of a data URI. */
const longestLogo = 65_536

/** @throws TypeError that names the option and the remedy */
export function readPageOptions(
  { branding = {}, texts = {} }: PageOptions,
  baseUrl: string,
): Looks {
  return pageLooks({ branding: readBranding(branding, baseUrl), texts: readTexts(texts) })
}

function readBranding(given: BrandingOptions, baseUrl: string): Branding {
  const { name, logo, accentColor, supportUrl, ...others } = readObject('branding', given)
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) {
    throw new TypeError(
      `entraAuth: branding has no member ${JSON.stringify(unknown)}: it has name, logo, accentColor and supportUrl`,
    )
  }
  return Object.freeze({
    ...(name !== undefined && { name: readName(name) }),
    ...(logo !== undefined && { logo: readLogo(logo, baseUrl) }),
    ...(accentColor !== undefined && { accent: readAccent(accentColor) }),
    ...(supportUrl !== undefined && { supportUrl: readSupportUrl(supportUrl) }),
  })
}

function readName(name: unknown): string {
  if (typeof name === 'string' && name !== '' && name.length <= 100 && visibleText(name) === name) {
    return name
  }
  throw new TypeError('entraAuth: branding.name must be a text of 1 to 100 visible characters')
}

function readLogo(logo: unknown, baseUrl: string): Logo {
  if (typeof logo === 'string' && /^data:image\/(?:png|svg\+xml|jpeg|webp|gif)[;,]/.test(logo)) {
    if (logo.length <= longestLogo) return { src: logo, source: 'data:' }
    throw new TypeError(
      `entraAuth: branding.logo has ${logo.length} characters, and may have ${longestLogo}: serve the image, and give its path`,
    )
  }
  // Without the characters that end a source in a content security policy, and without `//host`.
  if (typeof logo === 'string' && /^\/(?!\/)[\w.~%/-]*(?:\?[\w.=&-]*)?$/.test(logo)) {
    const { origin, pathname, search } = new URL(logo, baseUrl)
    // Without its dots, `/.//host` would be the address of a host. The query has no place in the policy.
    if (!pathname.startsWith('//')) return { src: pathname + search, source: origin + pathname }
  }
  throw new TypeError(
    "entraAuth: branding.logo must be a data URI of an image ('data:image/svg+xml;base64,…': png, svg+xml, jpeg, webp or gif) or a path on this server ('/logo.svg')",
  )
}

function readAccent(color: unknown) {
  try {
    return accentOf(typeof color === 'string' ? color : '')
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw new TypeError(`entraAuth: branding.accentColor ${JSON.stringify(color)} ${error.message}`)
  }
}

function readSupportUrl(given: unknown): string {
  if (typeof given === 'string' && URL.canParse(given)) {
    const url = new URL(given)
    const { protocol, pathname, href } = url
    if (protocol === 'https:' && !hasUserinfo(url)) return href
    if (protocol === 'mailto:' && pathname.includes('@')) return href
  }
  throw new TypeError(
    "entraAuth: branding.supportUrl must be 'https://…' or 'mailto:help@contoso.com'",
  )
}

function readTexts(
  given: Readonly<Record<string, PageTexts>>,
): Readonly<Record<string, PageTexts>> {
  return Object.fromEntries(
    Object.entries(readObject('texts', given)).map(([tag, table]) => [
      readTag(tag),
      readTable(`texts.${tag}`, table),
    ]),
  )
}

function readTag(tag: string): string {
  const canonical = canonicalTag(tag)
  if (canonical === tag) return tag
  throw new TypeError(
    canonical === undefined
      ? `entraAuth: texts: not the tag of a language, such as 'fr': ${JSON.stringify(tag)}`
      : `entraAuth: texts: spell ${JSON.stringify(tag)} as '${canonical}'`,
  )
}

/** @see BCP 47 */
function canonicalTag(tag: string): string | undefined {
  try {
    return Intl.getCanonicalLocales(tag)[0]
  } catch {
    return undefined
  }
}

function readTable(option: string, given: unknown): PageTexts {
  const table = readObject(option, given as Readonly<Record<string, unknown>>)
  const keys = Object.keys(english)
  const missing = keys.filter((key) => !Object.hasOwn(table, key))
  if (missing.length > 0) throw new TypeError(`entraAuth: ${option} lacks ${missing.join(', ')}`)
  const unknown = Object.keys(table).filter((key) => !keys.includes(key))
  if (unknown.length > 0) {
    throw new TypeError(`entraAuth: ${option} has what no page says: ${unknown.join(', ')}`)
  }
  for (const [key, text] of Object.entries(english)) checkText(`${option}.${key}`, table[key], text)
  return Object.freeze({ ...table }) as unknown as PageTexts
}

/** @param model the English text */
function checkText(option: string, text: unknown, model: string): void {
  if (typeof text !== 'string' || text.trim() === '') {
    throw new TypeError(`entraAuth: ${option} must be a text, such as ${JSON.stringify(model)}`)
  }
  const slots = slotsOf(model)
  const given = new Set(slotsOf(text))
  if (given.size === slots.length && slots.every((slot) => given.has(slot))) return
  const wanted = slots.map((slot) => `{${slot}}`).join(' and ')
  throw new TypeError(
    `entraAuth: ${option} must have ${wanted || 'no slot'}: ${JSON.stringify(text)}`,
  )
}

function readObject<T extends object>(option: string, given: T): T {
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return given
  throw new TypeError(`entraAuth: ${option} must be an object`)
}
