/** The pages about errors: what went wrong, what to do, and the way back to the application. */
import type { Page } from '../http/respond.js'
import type { OAuthError, OAuthErrorCode } from '../oauth/errors.js'
import { html } from './html.js'
import type { Look } from './look.js'
import { page } from './page.js'
import type { TextKey } from './texts.js'

/** Makes a page that says what went wrong and what to do. */
export function problemPage(look: Look, { status, description }: OAuthError): Page {
  const title = look.say(status >= 500 ? 'failedTitle' : 'refusedTitle')
  return page(look, title, html`<h1>${title}</h1>\n<p>${description}</p>`)
}

/**
 * Makes a page that names the error and links to the application. The user decides whether to follow the link,
 * because nobody vouches for the application. The error's description is not shown: it may repeat text from a
 * stranger.
 *
 * @param answer where the link goes: an https URL
 * @see RFC 9700 section 4.11.2
 */
export function returnPage(look: Look, { code }: OAuthError, answer: string): Page {
  const { say } = look
  const title = say('refusedTitle')
  return page(
    look,
    title,
    html`<h1>${title}</h1>
<p>${say(explanations[code] ?? 'badRequest')} (<code>${code}</code>)</p>
<dl>
<dt>${say('uncheckedAddress')}</dt>
<dd><strong>${new URL(answer).host}</strong></dd>
</dl>
<p><a href="${answer}" rel="noreferrer noopener nofollow">${say('returnToApplication')}</a></p>
<p class="soft">${say('continueIfKnown')}</p>`,
  )
}

const explanations: Readonly<
  Partial<Record<OAuthErrorCode, TextKey & ('badScope' | 'badResource')>>
> = {
  invalid_scope: 'badScope',
  invalid_target: 'badResource',
}
