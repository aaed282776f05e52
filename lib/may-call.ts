/** What a caller may call: for a server that lists no tool which its caller can never use. */
import { type AuthInfoLike, internalsOf } from './gate/caller.js'
import { guardOf } from './gate/guard-options.js'
import { type CallVerdict, judgeCall } from './gate/guard-verdict.js'
import type { Middleware } from './http/middleware.js'

export type { CallVerdict } from './gate/guard-verdict.js'

/**
 * Whether the guard would let this caller call the tool, by the same rules: `yes`; `step-up`, when a login can bring the
 * scopes that are missing; `no`, when a role is missing or the guard does not open the tool, so that only an
 * administrator can help. List what is not `no`: a client steps up when it calls a tool, and only tools it sees are called.
 *
 * The answer is for showing. The guard itself decides, when the tool is called.
 *
 * @param guard what `scopeGuard` returned
 * @param auth `req.auth`, `extra.authInfo` (SDK v1) or `ctx.authInfo` (SDK v2)
 * @throws TypeError when `guard` is not from `scopeGuard`, or `auth` not from `requireBearer`
 * @see MCP Authorization, "Runtime Insufficient Scope Errors"
 * @example
 * const purge = server.registerTool('purge_notes', { description: 'Deletes all notes' }, purgeNotes)
 * if (mayCall(guard, req.auth, 'purge_notes') === 'no') purge.remove()
 */
export function mayCall(
  guard: Middleware,
  auth: AuthInfoLike | undefined,
  tool: string,
): CallVerdict {
  const caller = internalsOf(auth, 'mayCall')
  const options = guardOf(guard)
  options.checkNames(caller.scopes)
  return judgeCall(options, caller, [tool]).verdict
}
