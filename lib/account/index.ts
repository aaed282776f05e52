/** `mcp-entra/account`: pages on which people see which apps have their access, and end it. */
export { type AccountOptions, accountRoutes } from './account-routes.js'
export type { SessionOptions, SessionStore } from './session-options.js'
