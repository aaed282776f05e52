/** Consent of an administrator for an agent identity. */

/**
 * Where an administrator gives it. An agent has no registration that lists its permissions, so the link names them.
 *
 * @param tenant the tenant's URL at Entra
 * @param agent the agent's client id
 * @see https://learn.microsoft.com/entra/agent-id/interactive-agent-request-admin-authorization
 */
export function agentConsentUrl(tenant: string, agent: string, scopes: readonly string[]): string {
  const query = new URLSearchParams({
    scope: scopes.join(' '),
    redirect_uri: 'https://entra.microsoft.com/TokenAuthorize',
  })
  return `${tenant}/v2.0/adminconsent?client_id=${agent}&${query}`
}
