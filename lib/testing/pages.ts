/** Entra's other pages: the error page, and the form that submits itself. */
import { type AadstsError, describe, type Trace } from './errors.js'
import { escapeHtml, type Params } from './messages.js'

/** A page in the emulator's plain look. */
export function pageLayout(title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
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

/** The error page for a browser whose client or redirect URI is not valid. */
export function errorPage(error: AadstsError, trace: Trace): string {
  const [message = '', ...details] = describe(error, trace).split('\r\n')
  return pageLayout(
    'Sign in: error',
    `<h1>Sorry, but we're having trouble signing you in.</h1>
<p role="alert">${escapeHtml(message)}</p>
<ul>${details.map((line) => `<li>${escapeHtml(line)}</li>`).join('')}</ul>`,
  )
}

/** The script of {@link formPostPage}. */
export const formPostScript = 'document.forms[0].submit()'

/** A form that posts the answer to the redirect URI. @see OAuth 2.0 Form Post Response Mode */
export function formPostPage(redirectUri: string, params: Params): string {
  const inputs = Object.entries(params).map(
    ([name, value]) =>
      `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`,
  )
  return pageLayout(
    'Working...',
    `<form method="post" action="${escapeHtml(redirectUri)}">
${inputs.join('\n')}
<noscript><p>Press the button to continue.</p><button type="submit">Continue</button></noscript>
</form>
<script>${formPostScript}</script>`,
  )
}

const style = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { margin: 0; background: light-dark(#f2f2f2, #1b1b1b) }
main { max-width: 26rem; margin: 8vh auto; padding: 2rem; background: light-dark(#fff, #2b2b2b) }
h1 { font-size: 1.4rem; margin-top: 0 }
button { font: inherit; display: block; width: 100%; margin: .5rem 0; padding: .6rem 1rem; text-align: left; cursor: pointer }
button small { display: block; overflow-wrap: anywhere }
code { overflow-wrap: anywhere }`
