/** What our pages share: a frame around their content, no script, and nothing loaded from anywhere. */
import type { Page } from '../http/respond.js'
import { type Content, type Html, html } from './html.js'
import type { Look } from './look.js'
import type { Style } from './style.js'

/** Makes a page around its content. */
export function page({ language, style }: Look, title: Content, content: Html): Page {
  return {
    language,
    contentSecurityPolicy: contentSecurityPolicy(style),
    html: `<!doctype html>
<html ${languageAttributes(language)}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${html`${title}`}</title>
<style>${style.text}</style>
</head>
<body>
<main>
${content}
</main>
</body>
</html>
`,
  }
}

/** A time as the reader writes it, in UTC and saying so. */
export function time({ language }: Look, seconds: number): Html {
  const date = new Date(seconds * 1000)
  const words = new Intl.DateTimeFormat(language, {
    year: 'numeric',
    month: 'long',
    day: 'numeric',
    hour: 'numeric',
    minute: '2-digit',
    timeZone: 'UTC',
    timeZoneName: 'short',
  }).format(date)
  return html`<time datetime="${date.toISOString()}">${words}</time>`
}

/** A hidden field of a form. */
export function hiddenField([name, value]: readonly [string, string]): Html {
  return html`<input type="hidden" name="${name}" value="${value}">\n`
}

/**
 * Our pages load nothing and may not be framed. `form-action` is left out: Chrome applies it to the whole chain of
 * redirects, so it would block clients with schemes of their own (`cursor:`, `claude:`).
 */
function contentSecurityPolicy({ hash }: Style): string {
  return `default-src 'none'; style-src '${hash}'; base-uri 'none'; frame-ancestors 'none'`
}

/** Scripts that are written from right to left. */
const rightToLeft = ['Adlm', 'Arab', 'Hebr', 'Mand', 'Nkoo', 'Rohg', 'Syrc', 'Thaa']

function languageAttributes(language: string): Html {
  const { script = '' } = new Intl.Locale(language).maximize()
  return rightToLeft.includes(script)
    ? html`lang="${language}" dir="rtl"`
    : html`lang="${language}"`
}
