/** `mcp-entra/testing`: Microsoft Entra ID for tests and demonstrations, on loopback, and users who sign in there. */
export {
  type DefineTest,
  type DescribeStorageOptions,
  type DescribeSuite,
  describeStorage,
  type StorageUnderTest,
} from './describe-storage.js'
export type { AppRef, EntraApp, EntraTenant, EntraUser, UserRef } from './directory.js'
export { type EntraEmulator, startEntra } from './entra-emulator.js'
export type { EntraFault } from './faults.js'
export type { MintAccessTokenOptions, MintIdTokenOptions, MintKey } from './mint.js'
export type {
  EntraAgentOptions,
  EntraAppOptions,
  EntraFederatedCredentialOptions,
  EntraManagedIdentityOptions,
  EntraOptions,
  EntraTenantOptions,
  EntraUserOptions,
} from './options.js'
export type { EntraEndpoint, EntraGrant, LoggedRequest } from './request-log.js'
export {
  type ConnectedClient,
  type ConnectOptions,
  connect,
  type ToolAnswer,
} from './sign-in/connect.js'
export { type SignedIn, type SignInOptions, SignInRefused, signIn } from './sign-in/sign-in.js'
export type { SigningKey } from './signing-keys.js'
