/** The page at the end of an interaction: the user has done what Entra wanted, and goes back. */
import type { Page } from '../http/respond.js'
import { html } from './html.js'
import type { Look } from './look.js'
import { page } from './page.js'

/** Makes the page. It names neither user nor client: whoever looks at the screen learns nothing. */
export function interactionPage(look: Look): Page {
  const { say } = look
  return page(
    look,
    say('interactionTitle'),
    html`<h1>${say('interactionTitle')}</h1>
<p>${say('interactionDone')}</p>`,
  )
}
