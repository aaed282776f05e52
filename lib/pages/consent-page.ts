/** The consent page: which application asks, where the sign-in goes, and what the application may then do. */
import type { ScopeStrategy } from '../entra/scopes.js'
import type { Page } from '../http/respond.js'
import { isLoopbackHost } from '../oauth/loopback.js'
import { staysOnDevice } from '../oauth/redirect-uri.js'
import type { Client } from '../tokens/clients.js'
import { isNothingNew, type NewAccess } from '../tokens/consents.js'
import { type Content, type Html, html } from './html.js'
import type { Look } from './look.js'
import { hiddenField, page } from './page.js'
import type { Say } from './texts.js'
import { visibleText } from './visible-text.js'

/** What the page shows and sends. */
export interface ConsentPage {
  /** The name of this server. */
  readonly server: string
  readonly scopes: ScopeStrategy
  readonly client: Client
  readonly request: {
    readonly redirectUri: string
    /** Short names. */
    readonly scopes: readonly string[]
  }
  /** What to mark as new, for a user who has allowed the client something before. */
  readonly newAccess?: NewAccess | undefined
  /** Where the form is sent: a path. */
  readonly action: string
  /** Hidden fields. */
  readonly fields: Readonly<Record<string, string>>
}

/** @see MCP Security Best Practices, "Confused Deputy Problem" (2025-11-25 and 2026-07-28) */
export function consentPage(look: Look, consent: ConsentPage): Page {
  const { server, scopes, client, request, action, fields, newAccess } = consent
  const { say } = look
  return page(
    look,
    say('consentTitle', { server }),
    html`<h1>${say('consentQuestion', { client: clientName(say, client), server })}</h1>
<p>${describeTrust(say, client)} ${say('continueIfYours')}</p>
${approvedBefore(say, newAccess)}<dl>
${publisher(say, client)}<dt>${say('destination')}</dt>
<dd><strong>${destination(say, request.redirectUri)}</strong>${newMark(say, newAccess?.origin)}<br><code>${request.redirectUri}</code></dd>
</dl>
${warning(say, request.redirectUri)}
<h2>${say('permissions')}</h2>
<ul>
${request.scopes.map((scope) => scopeItem(say, scopes, scope, newAccess?.scopes))}</ul>
${downstream(say, scopes, newAccess?.downstream)}
<form method="post" action="${action}">
${Object.entries(fields).map(hiddenField)}<p>${say('nextStep')}</p>
<div class="actions">
<button type="submit" name="action" value="deny">${say('deny')}</button>
<button type="submit" name="action" value="approve">${say('approve')}</button>
</div>
</form>`,
  )
}

/** A name that a stranger chose: it cannot pass for a part of the page. */
function clientName(say: Say, { metadata }: Client): Html {
  const name: Content = visibleText(metadata.client_name ?? '') || say('namelessClient')
  return html`<bdi class="name">${name}</bdi>`
}

/** How far the user can trust the application's name. */
function describeTrust(say: Say, { identity }: Client): Html {
  switch (identity?.by) {
    case 'operator':
      return say('nameFromOperator')
    case 'document':
      return say('nameFromDocument', { host: html`<strong>${identity.host}</strong>` })
    default:
      return say('nameUnchecked')
  }
}

/** The host that publishes the application: the user compares it with the name. */
function publisher(say: Say, { id, identity }: Client): Html | undefined {
  if (identity?.by !== 'document') return undefined
  return html`<dt>${say('publishedAt')}</dt>
<dd><strong>${identity.host}</strong><br><code>${id}</code></dd>
`
}

/** The host of the redirect URI, or the application that handles its scheme. */
function destination(say: Say, redirectUri: string): Content {
  const { protocol: scheme, host, hostname } = new URL(redirectUri)
  if (scheme !== 'http:' && scheme !== 'https:') return say('schemeOnThisDevice', { scheme })
  return isLoopbackHost(hostname) ? say('hostOnThisDevice', { host }) : host
}

/** Only the redirect URI of this request counts: the client may have registered others beside it. */
function warning(say: Say, redirectUri: string): Html | undefined {
  if (!staysOnDevice(redirectUri)) return undefined
  return html`<p class="warning" role="note"><strong>${say('deviceWarning')}</strong> ${say('deviceWarningReason')}</p>`
}

function downstream(
  say: Say,
  scopes: ScopeStrategy,
  added: readonly string[] | undefined,
): Html | undefined {
  if (scopes.additional.length === 0) return undefined
  const items = scopes.additional.map((scope) => scopeItem(say, scopes, scope, added))
  return html`<h2>${say('downstream')}</h2>\n<ul>\n${items}</ul>`
}

function scopeItem(
  say: Say,
  scopes: ScopeStrategy,
  scope: string,
  added: readonly string[] = [],
): Html {
  return html`<li>${scopeInWords(say, scopes, scope)}${newMark(say, added.includes(scope))}</li>\n`
}

/** For a user who has allowed the application before, and is asked for more. */
function approvedBefore(say: Say, newAccess: NewAccess | undefined): Html | undefined {
  if (!newAccess || isNothingNew(newAccess)) return undefined
  return html`<p>${say('approvedBefore')}</p>\n`
}

function newMark(say: Say, isNew: boolean | undefined): Html | undefined {
  return isNew ? html` <mark>${say('newMark')}</mark>` : undefined
}

/** What a scope means, and its name. */
export function scopeInWords(say: Say, scopes: ScopeStrategy, scope: string): Html {
  const words = scopes.describe(scope)
  const name = html`<code>${scope}</code>`
  return words === scope ? name : say('scopeInWords', { words, scope: name })
}
