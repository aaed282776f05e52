/** The page after signing out. */
import type { Page } from '../http/respond.js'
import { html } from './html.js'
import type { Look } from './look.js'
import { page } from './page.js'

/**
 * Makes the page.
 *
 * @param signIn where to sign in again: a path
 */
export function signedOutPage(look: Look, signIn: string): Page {
  const { say } = look
  return page(
    look,
    say('signedOutTitle'),
    html`<h1>${say('signedOutTitle')}</h1>
<p>${say('signedOut')}</p>
<p><a href="${signIn}">${say('signInAgain')}</a></p>`,
  )
}
