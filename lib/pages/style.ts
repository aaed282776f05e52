/** The one stylesheet of all pages. */
import { createHash } from 'node:crypto'
import { type Accent, paper } from './accent.js'

/** A stylesheet, and the hash that the content security policy allows it by. */
export interface Style {
  readonly text: string
  /** As in `style-src`: `sha256-…`. */
  readonly hash: string
}

const defaultAccent: Accent = { light: '#0b5cad', dark: '#7cb8ff' }

/** Makes the stylesheet. */
export function pageStyle(accent: Accent = defaultAccent): Style {
  const text = rules(accent)
  const hash = createHash('sha256').update(text).digest('base64')
  return Object.freeze({ text, hash: `sha256-${hash}` })
}

const rules = ({ light, dark }: Accent) => `
:root { color-scheme: light dark; --ink: #1b1b1f; --soft: #5b5b66; --paper: ${paper.light}; --ground: #f3f3f6; --line: #d5d5de; --accent: ${light}; --warn: #7a4b00; --warn-ground: #fff4dc }
@media (prefers-color-scheme: dark) { :root { --ink: #f1f1f4; --soft: #b4b4c0; --paper: ${paper.dark}; --ground: #111114; --line: #3a3a44; --accent: ${dark}; --warn: #ffd58a; --warn-ground: #3a2c0d } }
* { box-sizing: border-box }
body { margin: 0; padding: 1rem; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 34rem; padding: 1.5rem; background: var(--paper); border: 1px solid var(--line); border-top: .25rem solid var(--accent); border-radius: .75rem }
header { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem .75rem; margin-bottom: 1rem; font-weight: 600; overflow-wrap: anywhere }
header img { display: block; max-width: 100%; max-height: 2.5rem }
footer { margin-top: 1.25rem; padding-top: .75rem; border-top: 1px solid var(--line); font-size: .875rem }
h1 { margin: 0 0 .75rem; font-size: 1.35rem; line-height: 1.3; overflow-wrap: break-word; hyphens: auto }
h2 { margin: 1.25rem 0 .25rem; font-size: 1rem }
p, ul, dl { margin: .5rem 0 }
ul { padding-inline-start: 1.25rem }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0 0 .5rem; overflow-wrap: anywhere }
code { font-family: ui-monospace, monospace; font-size: .875rem; overflow-wrap: anywhere }
.name { overflow-wrap: anywhere }
.soft { color: var(--soft) }
.warning { padding: .75rem 1rem; border-inline-start: .25rem solid var(--warn); background: var(--warn-ground); color: var(--warn) }
mark { padding: 0 .375rem; border-radius: .25rem; background: var(--warn-ground); color: var(--warn); font-size: .875rem }
.apps { padding: 0; list-style: none }
.apps > li { margin: 1rem 0; padding: 1rem; border: 1px solid var(--line); border-radius: .5rem }
.apps h2 { margin-top: 0 }
form { margin-top: .75rem }
.actions { display: grid; grid-template-columns: repeat(auto-fit, minmax(8rem, 1fr)); gap: .75rem; margin-top: 1.25rem }
button { min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid var(--accent); border-radius: .5rem; background: var(--accent); color: var(--paper); font: inherit; font-weight: 600; cursor: pointer }
button.quiet { background: transparent; color: var(--accent) }
a { color: var(--accent); overflow-wrap: anywhere }
a:focus-visible, button:focus-visible { outline: .1875rem solid var(--ink); outline-offset: .125rem }
`
