/** mcp-entra: Microsoft Entra ID in front of an MCP server. */

export {
  askUser,
  type InputRequired,
  type RequiredElicitation,
  type ToolContext,
  type ToolExtra,
  type UrlElicitationRequiredErrorClass,
} from './ask-user.js'
export {
  type Agent,
  authOf,
  type Caller,
  type CallerKind,
  callerOf,
  type DownstreamCredential,
  downstreamCredential,
  downstreamToken,
  type GetTokenOptions,
  groupsOf,
  tokenClaim,
  type User,
  userOf,
} from './auth-info.js'
export { listGrants, revokeClient, revokeTenant, revokeUser } from './end-access.js'
export type { Cloud } from './entra/clouds.js'
export { type AgentCredentialOptions, agentCredential } from './entra/credential-agent.js'
export { clientAssertion } from './entra/credential-assertion.js'
export { type ClientCertificateOptions, clientCertificate } from './entra/credential-certificate.js'
export {
  type AccessTokenLike,
  federatedCredential,
  type TokenCredentialLike,
} from './entra/credential-federated.js'
export {
  type ManagedIdentityOptions,
  managedIdentity,
} from './entra/credential-managed-identity.js'
export {
  type WorkloadIdentityOptions,
  workloadIdentity,
} from './entra/credential-workload-identity.js'
export {
  type ClientCredential,
  type ClientProof,
  type CredentialContext,
  clientSecret,
} from './entra/credentials.js'
export { EntraError, type EntraFailureKind } from './entra/errors.js'
export { type EntraScopesOptions, entraScopes, type ScopeStrategy } from './entra/scopes.js'
export type { EntraClaims } from './entra/verify.js'
export { type EntraAuth, entraAuth } from './entra-auth.js'
export type { AuthInfo, AuthInfoLike } from './gate/caller.js'
export type {
  EventAgent,
  EventClient,
  EventSubject,
  EventUser,
  ExchangeEvent,
  FailureEvent,
  LoginEvent,
  McpEntraEvents,
  RefusalEvent,
  RevocationEvent,
  TokenEvent,
  WarningEvent,
} from './http/events.js'
export type { Middleware, MiddlewareRequest } from './http/middleware.js'
export type { Logger } from './http/report.js'
export type { MappedUser, MapUser } from './login/asserted-user.js'
export { type CallVerdict, mayCall } from './may-call.js'
export { OAuthError, type OAuthErrorCode } from './oauth/errors.js'
export type { IdentityAssertionClaims } from './oauth/id-jag.js'
export { oauthRoutes } from './oauth-routes.js'
export { type Downstream, oboToken } from './obo-token.js'
export type { PageTexts } from './pages/texts.js'
export {
  type AuthenticatedRequest,
  type RequireBearerOptions,
  requireBearer,
} from './require-bearer.js'
export { resourceMetadata } from './resource-metadata.js'
export { type Requirement, type ScopeGuardOptions, scopeGuard } from './scope-guard.js'
export type {
  ClientMetadataOptions,
  ClientOptions,
  PreRegisteredClient,
} from './setup/client-options.js'
export type { IdentityIssuer } from './setup/identity-options.js'
export type { EntraAuthOptions } from './setup/options.js'
export type { BrandingOptions, PageOptions } from './setup/page-options.js'
export { type MemoryStorage, type MemoryStorageOptions, memoryStorage } from './storage/memory.js'
export type { Storage } from './storage/storage.js'
export type { ConnectedApp, UserId } from './tokens/connected-apps.js'
export type { Lifetimes } from './tokens/lifetimes.js'
