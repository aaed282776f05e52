/** The page of connected apps: who is signed in, which apps hold their access, and a button to end each. */
import type { ScopeStrategy } from '../entra/scopes.js'
import type { Page } from '../http/respond.js'
import type { ConnectedApp } from '../tokens/connected-apps.js'
import { scopeInWords } from './consent-page.js'
import { type Content, type Html, html } from './html.js'
import type { Look } from './look.js'
import { hiddenField, page, time } from './page.js'
import type { Say } from './texts.js'
import { visibleText } from './visible-text.js'

/** What the page shows and sends. */
export interface AppsPage {
  /** The name of this server. */
  readonly server: string
  readonly scopes: ScopeStrategy
  readonly user: { readonly name?: string; readonly username?: string }
  readonly apps: readonly ConnectedApp[]
  /** Where the forms are sent: paths. */
  readonly actions: { readonly revoke: string; readonly signOut: string }
  /** Hidden fields of every form. */
  readonly fields: Readonly<Record<string, string>>
}

/** Makes the page. */
export function appsPage(look: Look, shown: AppsPage): Page {
  const { server, user, apps, actions, fields } = shown
  const { say } = look
  return page(
    look,
    say('appsTitle'),
    html`<h1>${say('appsTitle')}</h1>
<p>${say('signedInAs', { user: html`<strong>${describeUser(user)}</strong>` })}</p>
${apps.length > 0 ? appList(look, shown) : html`<p>${say('noApps', { server })}</p>`}
${form(actions.signOut, fields, html`<button class="quiet" type="submit">${say('signOut')}</button>`)}`,
  )
}

/** The display name, and the sign-in name, which tells two people of one name apart. */
function describeUser({ name, username }: AppsPage['user']): string {
  const names = [name, username].map((text) => visibleText(text ?? '')).filter((text) => text)
  return names.join(' · ')
}

function appList(look: Look, shown: AppsPage): Html {
  const { server, apps, actions, fields } = shown
  const { say } = look
  const button = html`<button class="quiet" type="submit">${say('revokeAll')}</button>`
  return html`<p>${say('appsIntroduction', { server })}</p>
<ul class="apps">
${apps.map((app) => entry(look, shown, app))}
</ul>
<p class="soft">${say('revokeAllHint')}</p>
${form(actions.revoke, { ...fields, app: 'all' }, button)}`
}

function entry(look: Look, { scopes, actions, fields }: AppsPage, app: ConnectedApp): Html {
  const { say } = look
  const name: Content = visibleText(app.name ?? '') || say('namelessClient')
  const label = say('revokeOf', { client: name })
  const button = html`<button class="quiet" type="submit" aria-label="${label}">${say('revoke')}</button>`
  return html`<li>
<h2><bdi class="name">${name}</bdi></h2>
<p>${describeTrust(say, app)}</p>
<dl>
${destination(say, app)}<dt>${say('appPermissions')}</dt>
${scopeList(say, scopes, app.scopes)}
${downstream(say, scopes, app.downstream)}<dt>${say('firstUsed')}</dt>
<dd>${time(look, startOfHour(app.firstUsedAt))}</dd>
<dt>${say('lastUsed')}</dt>
<dd>${time(look, app.lastUsedAt)}</dd>
<dt>${say('activeLogins')}</dt>
<dd>${String(app.logins)}</dd>
</dl>
${form(actions.revoke, { ...fields, app: app.id }, button)}
</li>
`
}

/** The first use is known to the second, and the last one to the hour: exact, it would look like the later one. */
function startOfHour(seconds: number): number {
  return seconds - (seconds % 3600)
}

/** How far the user can trust the app's name. */
function describeTrust(say: Say, { verifiedBy, host }: ConnectedApp): Html {
  if (verifiedBy === undefined) return say('notVerified')
  if (verifiedBy === 'operator' || host === undefined) return say('verifiedByOperator')
  return say('verifiedByHost', { host: html`<strong>${host}</strong>` })
}

/** Of an app for which no host vouches: where its sign-ins go. */
function destination(say: Say, { verifiedBy, host }: ConnectedApp): Html | undefined {
  if (verifiedBy === 'document') return undefined
  return html`<dt>${say('destination')}</dt>
<dd>${host === undefined ? say('onADevice') : html`<strong>${host}</strong>`}</dd>
`
}

function scopeList(say: Say, scopes: ScopeStrategy, names: readonly string[]): Html {
  return html`${names.map((name) => html`<dd>${scopeInWords(say, scopes, name)}</dd>\n`)}`
}

function downstream(say: Say, scopes: ScopeStrategy, names: readonly string[]): Html | undefined {
  if (names.length === 0) return undefined
  return html`<dt>${say('appDownstream')}</dt>\n${scopeList(say, scopes, names)}`
}

function form(action: string, fields: Readonly<Record<string, string>>, button: Html): Html {
  return html`<form method="post" action="${action}">
${Object.entries(fields).map(hiddenField)}
${button}
</form>`
}
