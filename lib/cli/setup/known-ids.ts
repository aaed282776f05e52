/** Ids of Microsoft's that are the same in every tenant. Each was seen in Microsoft's documentation or published code. */

/** Client id of Microsoft Graph. */
export const microsoftGraph = '00000003-0000-0000-c000-000000000000'

/**
 * Delegated permissions of Graph, for the format that cannot look them up.
 *
 * @see https://learn.microsoft.com/graph/permissions-reference
 */
export const knownPermissions: ReadonlyMap<string, string> = new Map([
  ['User.Read', 'e1fe6dd8-ba31-4d61-89e7-88639da4683d'],
  ['openid', '37f7f235-527c-4136-accd-4a02d197296e'],
  ['profile', '14dad69e-099b-42c9-810b-d002981feec1'],
  ['email', '64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0'],
  ['offline_access', '7427e0e9-2fba-42fe-b0c0-848c9e6a8182'],
])

/** Clients of Microsoft's that bring Entra's own tokens, so that pre-authorizing them spares their users a question. */
export const knownClients: ReadonlyMap<
  string,
  { readonly id: string; readonly redirectUri?: string }
> = new Map([
  ['vscode', { id: 'aebc6443-996d-45c2-90f0-388ff96faa56' }],
  ['azure-cli', { id: '04b07795-8ddb-461a-bbee-02f9e1bf7b46' }],
  [
    // The token store of Microsoft 365 Copilot: plugin-authentication-entra-sso.
    'm365-copilot',
    {
      id: 'ab3be6b7-f5df-413d-ac2d-abf1e3fd9c0b',
      redirectUri: 'https://teams.microsoft.com/api/platform/v1.0/oAuthConsentRedirect',
    },
  ],
])
