/** The pages about errors: what went wrong, what to do, and the way back to the application. */
import type { Page } from '../http/respond.js'
import type { OAuthError, OAuthErrorCode } from '../oauth/errors.js'
import { type Html, html } from './html.js'
import type { Look } from './look.js'
import { page } from './page.js'
import type { Say } from './texts.js'

/**
 * Makes a page that says what went wrong and what to do. Without a situation that has words in the user's language,
 * it shows the error's description as well: in English, for whoever helps the user.
 *
 * @param reference the log has it too
 */
export function problemPage(look: Look, error: OAuthError, reference: string): Page {
  const { say } = look
  const title = titleOf(say, error)
  return page(
    look,
    title,
    html`<h1>${title}</h1>
<p>${explain(say, error)}</p>
${error.situation === undefined ? detail(say, error) : undefined}${referenceLine(say, reference)}`,
  )
}

/**
 * Makes a page that names the error and links to the application. The user decides whether to follow the link,
 * because nobody vouches for the application. The error's description is not shown: it may repeat text from a
 * stranger.
 *
 * @param target where the link goes: an https URL
 * @param reference the log has it too
 * @see RFC 9700 section 4.11.2
 */
export function returnPage(look: Look, error: OAuthError, target: string, reference: string): Page {
  const { say } = look
  const title = titleOf(say, error)
  return page(
    look,
    title,
    html`<h1>${title}</h1>
<p>${explain(say, error)} (<code>${error.code}</code>)</p>
<dl>
<dt>${say('uncheckedAddress')}</dt>
<dd><strong>${new URL(target).host}</strong></dd>
</dl>
<p><a href="${target}" rel="noreferrer noopener nofollow">${say('returnToApplication')}</a></p>
<p class="soft">${say('continueIfKnown')}</p>
${referenceLine(say, reference)}`,
  )
}

function titleOf(say: Say, { status }: OAuthError): Html {
  return say(status >= 500 ? 'failedTitle' : 'refusedTitle')
}

function explain(say: Say, { code, situation, status }: OAuthError): Html {
  if (situation !== undefined) return say(situation)
  if (status >= 500) return say('tryLater')
  return say(explanations[code] ?? 'badRequest')
}

type Explanation = 'badScope' | 'badResource' | 'signInRefused'

const explanations: Readonly<Partial<Record<OAuthErrorCode, Explanation>>> = {
  access_denied: 'signInRefused',
  login_required: 'signInRefused',
  interaction_required: 'signInRefused',
  consent_required: 'signInRefused',
  account_selection_required: 'signInRefused',
  invalid_scope: 'badScope',
  invalid_target: 'badResource',
}

function detail(say: Say, { description }: OAuthError): Html {
  return html`<p>${say('technicalDetail')} <span lang="en">${description}</span></p>\n`
}

function referenceLine(say: Say, reference: string): Html {
  return html`<p class="soft">${say('reference', { reference: html`<code>${reference}</code>` })}</p>`
}
