/** What our pages share: a frame around their content, no script, and nothing loaded but a logo. */
import type { Page } from '../http/respond.js'
import { type Content, type Html, html } from './html.js'
import type { Look } from './look.js'

/** Makes a page around its content. */
export function page(look: Look, title: Content, content: Html): Page {
  const { language, style } = look
  return {
    language,
    contentSecurityPolicy: contentSecurityPolicy(look),
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
${header(look)}${content}
${footer(look)}</main>
</body>
</html>
`,
  }
}

/** Whose server this is. The name is beside the image, so the image says nothing of its own. */
function header({ branding: { name, logo } }: Look): Html {
  if (!name && !logo) return html``
  const image = logo && html`<img src="${logo.src}" alt="">`
  return html`<header>${image}${name && html`<span>${name}</span>`}</header>\n`
}

function footer({ branding: { supportUrl }, say }: Look): Html {
  if (!supportUrl) return html``
  return html`<footer><a href="${supportUrl}" rel="noreferrer noopener">${say('support')}</a></footer>\n`
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
 * Our pages load nothing but the operator's logo, where there is one, and may not be framed. `form-action` is left out: Chrome applies it to the whole chain of
 * redirects, so it would block clients with schemes of their own (`cursor:`, `claude:`).
 */
function contentSecurityPolicy({ style: { hash }, branding: { logo } }: Look): string {
  const images = logo ? `img-src ${logo.source}; ` : ''
  return `default-src 'none'; style-src '${hash}'; ${images}base-uri 'none'; frame-ancestors 'none'`
}

/** Scripts that are written from right to left. */
const rightToLeft = ['Adlm', 'Arab', 'Hebr', 'Mand', 'Nkoo', 'Rohg', 'Syrc', 'Thaa']

function languageAttributes(language: string): Html {
  const { script = '' } = new Intl.Locale(language).maximize()
  return rightToLeft.includes(script)
    ? html`lang="${language}" dir="rtl"`
    : html`lang="${language}"`
}
