/** The sign-in page: a button for each user and one to cancel, no password and no script. */
import type { EntraApp, EntraUser } from './directory.js'
import { escapeHtml } from './messages.js'
import { pageLayout } from './pages.js'
import { prefixed, prefixedDefault, type ScopeRequest } from './scopes.js'

/** What the page shows. */
export interface SignIn {
  readonly request: { readonly client: EntraApp; readonly scopes: ScopeRequest }
  readonly users: readonly EntraUser[]
  /** The name of a user who does not exist here. */
  readonly unknown: string | undefined
  /** Where the form goes: the same authorization request again. */
  readonly action: string
}

/** Renders the page. */
export function signInPage({ request, users, unknown, action }: SignIn): string {
  const { client, scopes } = request
  return pageLayout(
    `Sign in to ${client.name}`,
    `<h1>Sign in to ${escapeHtml(client.name)}</h1>
<p>This is an emulator of Microsoft Entra ID. Pick an account, there is no password.</p>
${unknown ? `<p role="alert">There is no account "${escapeHtml(unknown)}" here.</p>` : ''}
<p>By signing in you allow ${escapeHtml(client.name)}:</p>
<ul>${scopeNames(scopes).map(item).join('')}</ul>
<form method="post" action="${escapeHtml(action)}">
${users.map(button).join('\n')}
<button type="submit" name="cancel" value="1">Cancel</button>
</form>`,
  )
}

function button({ oid, name, username }: EntraUser): string {
  const label = `${escapeHtml(name)} <small>${escapeHtml(username)}</small>`
  return `<button type="submit" name="sign_in_as" value="${escapeHtml(oid)}">${label}</button>`
}

function item(scope: string): string {
  return `<li><code>${escapeHtml(scope)}</code></li>`
}

function scopeNames({ oidc, resources }: ScopeRequest): string[] {
  const named = resources.flatMap((resource) => [
    ...resource.names.map((name) => prefixed(resource, name)),
    ...(resource.all ? [prefixedDefault(resource)] : []),
  ])
  return [...named, ...oidc]
}
