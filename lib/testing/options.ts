/** The options of `startEntra`: the directory, and where to listen. */

/** A person in a tenant. */
export interface EntraUserOptions {
  /** Object id, a GUID: the immutable key of the user inside the tenant. */
  readonly oid: string
  /** User principal name, such as `ada@contoso.example`. */
  readonly username: string
  /** Display name. */
  readonly name: string
  /** App roles assigned to the user: the `roles` claim. */
  readonly roles?: readonly string[]
  /** Group GUIDs: the `groups` claim, or an overage claim above 200 of them. */
  readonly groups?: readonly string[]
  /** Whether the account lives in another directory (`acct` is 1, `idp` is present). Default false. */
  readonly guest?: boolean
  /** Whether on-behalf-of demands MFA until a sign-in carried `claims`. Default false. */
  readonly mfa?: boolean
  /** Whether the user may use the applications; otherwise AADSTS50105. Default true. */
  readonly assigned?: boolean
  /** Client id of the agent whose user account this is. Nobody signs in to it in a browser. Default: none. */
  readonly agent?: string
}

/** A tenant and the people in it. */
export interface EntraTenantOptions {
  /** Tenant id, a GUID. */
  readonly id: string
  /** Verified domain, accepted instead of the id in every URL. */
  readonly domain?: string | undefined
  /** The users who can sign in here. */
  readonly users: readonly EntraUserOptions[]
}

/** A federated identity credential: whose tokens an app accepts instead of a secret. */
export interface EntraFederatedCredentialOptions {
  /** `iss` of the token. Default: the emulator, as for managed identities. Only then are signatures checked. */
  readonly issuer?: string
  /** `sub` of the token, case-sensitive. */
  readonly subject: string
  /** `aud` of the token. Default `api://AzureADTokenExchange`. */
  readonly audience?: string
}

/** A user-assigned managed identity: the identity endpoints hand out its tokens. */
export interface EntraManagedIdentityOptions {
  /** Client id, a GUID. */
  readonly clientId: string
  /** Object id of its service principal, a GUID: the `sub` of its tokens. */
  readonly principalId: string
  /** Azure resource id. Default: none. */
  readonly resourceId?: string
  /** The tenant it lives in. Default: the first. */
  readonly tenantId?: string
  /** Whose tokens the token endpoint accepts for the identity: of a Kubernetes service account, of a pipeline. */
  readonly federatedCredentials?: readonly EntraFederatedCredentialOptions[]
}

/** An app registration. */
export interface EntraAppOptions {
  /** Application (client) id, a GUID. */
  readonly clientId: string
  /** Display name. */
  readonly name?: string
  /** The tenant it is registered in. */
  readonly tenantId: string
  /** Whether users of other tenants may sign in. Default false. */
  readonly multiTenant?: boolean
  /** App ID URIs. Default `['api://' + clientId]`. */
  readonly identifierUris?: readonly string[]
  /** Client secrets, all of them valid. */
  readonly secrets?: readonly string[]
  /** Certificates (PEM) that client assertions may be signed with. */
  readonly certificates?: readonly string[]
  /** Identities whose tokens are accepted as client assertions. */
  readonly federatedCredentials?: readonly EntraFederatedCredentialOptions[]
  /** Redirect URIs of the platform "Web". */
  readonly redirectUris?: readonly string[]
  /** Redirect URIs of the platform "Single-page application". */
  readonly spaRedirectUris?: readonly string[]
  /** Delegated scopes the application exposes, by short name. */
  readonly scopes?: readonly string[]
  /** App roles the application defines. */
  readonly appRoles?: readonly string[]
  /** Version of the access tokens issued for this API, as in its manifest. Default 2. */
  readonly requestedAccessTokenVersion?: 1 | 2
  /** Full scopes an administrator has consented to for everyone. */
  readonly consented?: readonly string[]
  /** Application permissions on this API, by the daemon's client id: the roles of app-only tokens. */
  readonly applicationPermissions?: Readonly<Record<string, readonly string[]>>
}

/** An agent identity of Microsoft Entra Agent ID. It has no credential: its blueprint proves who it is. */
export interface EntraAgentOptions {
  /** Application (client) id of the agent, a GUID. */
  readonly clientId: string
  /** Client id of the app that is its blueprint. */
  readonly blueprint: string
  /** Display name. */
  readonly name?: string
  /** Full scopes an administrator has consented to for everyone. Those of the blueprint are inherited. */
  readonly consented?: readonly string[]
}

/** Options of `startEntra`. Everything has a default. */
export interface EntraOptions {
  /** Serve https, with a throw-away CA made by the `selfsigned` package. Default false. */
  readonly https?: boolean
  /** Port to listen on, on loopback. Default 0: any free one. */
  readonly port?: number
  /** Host name used in URLs. It must resolve to 127.0.0.1. Default `localhost`. */
  readonly host?: string
  /** The tenants. Default: Contoso and Fabrikam. */
  readonly tenants?: readonly EntraTenantOptions[]
  /** The app registrations. Default: an API and a daemon. */
  readonly apps?: readonly EntraAppOptions[]
  /** The agents. The apps that they name as blueprints sign no users in (AADSTS82014). Default: none. */
  readonly agents?: readonly EntraAgentOptions[]
  /** The managed identities of the machine that runs the tests. Default: none. */
  readonly managedIdentities?: readonly EntraManagedIdentityOptions[]
  /** Lifetime of access tokens in seconds. Default 4000; Entra's is between 3600 and 5400. */
  readonly accessTokenLifetime?: number
  /** The `issuer` member of published keys. Default `{url}/{tenantid}/v2.0`, with the placeholder, as in Entra. */
  readonly keyIssuer?: string
  /**
   * RSA private keys (PEM) to use before new ones are made: the one that signs, the spare one, the one that is
   * published nowhere, then one for each rotation. Three new keys take a third of a second of CPU time, which a large
   * test suite can save for every emulator. Default: none.
   */
  readonly signingKeys?: readonly string[]
}
