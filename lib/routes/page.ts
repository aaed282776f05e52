/** What our pages share: one stylesheet, no script, and nothing loaded from anywhere. */
import { createHash } from 'node:crypto'
import type { OAuthError, OAuthErrorCode } from '../oauth/errors.js'

const style = `
:root { color-scheme: light dark; --ink: #1b1b1f; --soft: #5b5b66; --paper: #fff; --ground: #f3f3f6; --line: #d5d5de; --brand: #0b5cad; --warn: #7a4b00; --warn-ground: #fff4dc }
@media (prefers-color-scheme: dark) { :root { --ink: #f1f1f4; --soft: #b4b4c0; --paper: #1d1d22; --ground: #111114; --line: #3a3a44; --brand: #7cb8ff; --warn: #ffd58a; --warn-ground: #3a2c0d } }
* { box-sizing: border-box }
body { margin: 0; padding: 1rem; min-height: 100vh; display: grid; place-items: center; background: var(--ground); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif }
main { width: 100%; max-width: 34rem; padding: 1.5rem; background: var(--paper); border: 1px solid var(--line); border-radius: .75rem }
h1 { margin: 0 0 .75rem; font-size: 1.35rem; line-height: 1.3 }
h2 { margin: 1.25rem 0 .25rem; font-size: 1rem }
p, ul, dl { margin: .5rem 0 }
ul { padding-left: 1.25rem }
dt { color: var(--soft); font-size: .875rem }
dd { margin: 0 0 .5rem; overflow-wrap: anywhere }
code { font-family: ui-monospace, monospace; font-size: .875rem; overflow-wrap: anywhere }
.name { overflow-wrap: anywhere }
.soft { color: var(--soft) }
.warning { padding: .75rem 1rem; border-left: .25rem solid var(--warn); background: var(--warn-ground); color: var(--warn) }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin-top: 1.25rem }
button { flex: 1 1 8rem; min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid var(--brand); border-radius: .5rem; background: transparent; color: var(--brand); font: inherit; font-weight: 600; cursor: pointer }
a { color: var(--brand); overflow-wrap: anywhere }
a:focus-visible { outline: .1875rem solid var(--ink); outline-offset: .125rem }
button.primary { background: var(--brand); color: var(--paper) }
button:focus-visible { outline: .1875rem solid var(--ink); outline-offset: .125rem }
`

const styleHash = createHash('sha256').update(style).digest('base64')

/**
 * Our pages load nothing and may not be framed. `form-action` is left out: Chrome applies it to the whole chain of
 * redirects, so it would block clients with schemes of their own (`cursor:`, `claude:`).
 */
export const contentSecurityPolicy = `default-src 'none'; style-src 'sha256-${styleHash}'; base-uri 'none'; frame-ancestors 'none'`

/** Makes a page around a body of HTML. */
export function page(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
${body}
</main>
</body>
</html>
`
}

/** Makes a page that says what went wrong and what to do. */
export function problemPage(title: string, explanation: string): string {
  return page(title, `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(explanation)}</p>`)
}

/**
 * Makes a page that names the error and links to the application. The user decides whether to follow the link,
 * because nobody vouches for the application. The error's description is not shown: it may repeat text from a
 * stranger.
 *
 * @param answer where the link goes: an https URL
 * @see RFC 9700 section 4.11.2
 */
export function returnPage({ code }: OAuthError, answer: string): string {
  const title = 'This sign-in cannot go on'
  return page(
    title,
    `<h1>${title}</h1>
<p>${explanations[code] ?? 'The application sent a request that this server cannot answer.'} (<code>${escapeHtml(code)}</code>)</p>
<dl>
<dt>Nobody has checked the address of the application</dt>
<dd><strong>${escapeHtml(new URL(answer).host)}</strong></dd>
</dl>
<p><a href="${escapeHtml(answer)}" rel="noreferrer noopener nofollow">Return to the application</a></p>
<p class="soft">Continue only if you started this sign-in and know the address.</p>`,
  )
}

const explanations: Readonly<Partial<Record<OAuthErrorCode, string>>> = {
  invalid_scope: 'The application asked for access that this server does not have.',
  invalid_target: 'The application asked for access to another server.',
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Escapes text for HTML content and attribute values. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '')
}

/** Makes invisible, control and direction-changing characters visible, as boxes. */
export function visibleText(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]/gu, '\u25a1').trim()
}
