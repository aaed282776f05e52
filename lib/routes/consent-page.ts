/** The consent page: which application asks, where the sign-in goes, and what the application may then do. */
import type { ScopeStrategy } from '../entra/scopes.js'
import { isLoopbackHost } from '../oauth/loopback.js'
import { staysOnDevice } from '../oauth/redirect-uri.js'
import type { Client } from '../tokens/clients.js'
import type { AuthorizationRequest } from './authorization-request.js'
import type { ProxyContext } from './context.js'
import { escapeHtml, page, visibleText } from './page.js'

/** What the page shows and sends. */
export interface ConsentPage {
  readonly client: Client
  readonly request: AuthorizationRequest
  /** Where the form is sent: a path. */
  readonly action: string
  /** Hidden fields. */
  readonly fields: Readonly<Record<string, string>>
}

/** @see MCP Security Best Practices, "Confused Deputy Problem" (2025-11-25 and 2026-07-28) */
export function consentPage(
  context: Pick<ProxyContext, 'baseUrl' | 'resourceName' | 'scopes'>,
  { client, request, action, fields }: ConsentPage,
): string {
  const name = visibleText(client.metadata.client_name ?? '') || 'An application without a name'
  const server = context.resourceName ?? new URL(context.baseUrl).host
  return page(
    `Allow access to ${server}?`,
    `<h1>Allow <bdi class="name">${escapeHtml(name)}</bdi> to use ${escapeHtml(server)}?</h1>
<p>${describeTrust(client)} Continue only if you started this sign-in.</p>
<dl>
${publisher(client)}<dt>Where your sign-in goes</dt>
<dd><strong>${escapeHtml(destination(request.redirectUri))}</strong><br><code>${escapeHtml(request.redirectUri)}</code></dd>
</dl>
${warning(request.redirectUri)}
<h2>It will be able to</h2>
<ul>
${request.scopes.map((scope) => scopeItem(context.scopes, scope)).join('\n')}
</ul>
${downstream(context)}
<form method="post" action="${escapeHtml(action)}">
${Object.entries(fields).map(hiddenField).join('\n')}
<div class="actions">
<button class="primary" type="submit" name="action" value="approve">Approve</button>
<button type="submit" name="action" value="deny">Deny</button>
</div>
</form>
<p class="soft">After approving you sign in with Microsoft.</p>`,
  )
}

/** How far the user can trust the application's name. */
function describeTrust({ identity }: Client): string {
  switch (identity?.by) {
    case 'operator':
      return 'The operator of this server knows this application.'
    case 'document':
      return `The application chose this name itself; this server has checked that it belongs to <strong>${escapeHtml(identity.host)}</strong>.`
    default:
      return 'The application chose this name itself; nobody has checked it.'
  }
}

/** The host that publishes the application: the user compares it with the name. */
function publisher({ id, identity }: Client): string {
  if (identity?.by !== 'document') return ''
  return `<dt>The application is published at</dt>
<dd><strong>${escapeHtml(identity.host)}</strong><br><code>${escapeHtml(id)}</code></dd>
`
}

/** The host of the redirect URI, or the application that handles its scheme. */
function destination(redirectUri: string): string {
  const url = new URL(redirectUri)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return `the application on this device that handles "${url.protocol}" links`
  }
  return isLoopbackHost(url.hostname) ? `${url.host} (this device)` : url.host
}

/** Only the redirect URI of this request counts: the client may have registered others beside it. */
function warning(redirectUri: string): string {
  if (!staysOnDevice(redirectUri)) return ''
  return `<p class="warning" role="note"><strong>Runs on this device.</strong> Any program on this device could use this name, and this server cannot tell which one is asking.</p>`
}

function scopeItem(scopes: ScopeStrategy, scope: string): string {
  const words = scopes.describe(scope)
  const code = `<code>${escapeHtml(scope)}</code>`
  return words === scope ? `<li>${code}</li>` : `<li>${escapeHtml(words)} (${code})</li>`
}

function downstream({ scopes }: Pick<ProxyContext, 'scopes'>): string {
  if (scopes.additional.length === 0) return ''
  const items = scopes.additional.map((scope) => scopeItem(scopes, scope))
  return `<h2>This server will use, on your behalf</h2>\n<ul>\n${items.join('\n')}\n</ul>`
}

function hiddenField([name, value]: [string, string]): string {
  return `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`
}
