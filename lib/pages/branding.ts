/** What an operator's branding is made of, once it has been read. */
import type { Accent } from './accent.js'

/** An image in the header of every page. */
export interface Logo {
  /** Of the `img` element. */
  readonly src: string
  /** What the content security policy has to allow for it, as in `img-src`. */
  readonly source: string
}

/** The branding of all pages of a server. */
export interface Branding {
  readonly name?: string
  readonly logo?: Logo
  readonly accent?: Accent
  /** https or mailto. */
  readonly supportUrl?: string
}
