/** The page at `/`: shows what the emulator offers to someone who opens it in a browser. */
import type { Emulation } from './emulation.js'
import { escapeHtml } from './messages.js'
import { pageLayout } from './pages.js'

/** Lists endpoints, tenants with their users, and apps. */
export function indexPage({ url, directory }: Emulation): string {
  const tenants = directory.tenants.map(
    ({ id, domain, users }) =>
      `<h2>Tenant ${escapeHtml(domain ?? id)}</h2>
<p><code>${escapeHtml(id)}</code>, <a href="${url}/${id}/v2.0/.well-known/openid-configuration">metadata</a></p>
<ul>${users.map(({ name, username }) => `<li>${escapeHtml(name)}, <code>${escapeHtml(username)}</code></li>`).join('')}</ul>`,
  )
  const apps = directory.apps.map(
    ({ name, clientId, identifierUris }) =>
      `<li>${escapeHtml(name)}, <code>${escapeHtml(clientId)}</code>, <code>${escapeHtml(identifierUris.join(' '))}</code></li>`,
  )
  return pageLayout(
    'Entra emulator',
    `<h1>An emulator of Microsoft Entra ID</h1>
<p>For tests and demonstrations: nothing here is real, and every secret is known.</p>
${tenants.join('\n')}
<h2>Applications</h2>
<ul>${apps.join('\n')}</ul>
<h2>Endpoints</h2>
<ul>${endpoints.map((path) => `<li><code>${escapeHtml(path)}</code></li>`).join('\n')}</ul>`,
  )
}

const endpoints = [
  'GET /{tenant}/v2.0/.well-known/openid-configuration',
  'GET /{tenant}/discovery/v2.0/keys',
  'GET /{tenant}/oauth2/v2.0/authorize',
  'POST /{tenant}/oauth2/v2.0/token',
  'GET /v1.0/me',
]
