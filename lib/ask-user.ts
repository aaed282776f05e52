/** `askUser`: a tool that needs something of its user which only Entra can ask for. */
import { type AuthInfoLike, internalsOf } from './gate/caller.js'
import { ChallengeError } from './gate/downstream-exchange.js'
import {
  inputRequired,
  type RequiredElicitation,
  requiredElicitation,
} from './gate/session-question.js'

export type { RequiredElicitation } from './gate/session-question.js'

/** What a tool returns to a client of 2026-07-28: a result that wants input. What input, only SDK and client need to know. */
// A type and not an interface: SDK v2 wants one that may have further members.
export type InputRequired = { readonly resultType: 'input_required' }

/** What a tool handler of SDK v1 gets as `extra`. */
export interface ToolExtra {
  readonly authInfo?: AuthInfoLike | undefined
  readonly requestId: string | number
}

/** What a tool handler of SDK v2 gets as `ctx`. */
export interface ToolContext {
  readonly http?: { readonly authInfo?: AuthInfoLike | undefined } | undefined
  readonly mcpReq: object
}

/** `UrlElicitationRequiredError` of either SDK: `sdk/types.js` (v1) or `@modelcontextprotocol/server` (v2). */
export type UrlElicitationRequiredErrorClass = new (
  elicitations: RequiredElicitation[],
  message?: string,
) => Error

/**
 * Asks the user for what Entra wants (MFA, consent) before a tool can go on, when `downstreamToken` or
 * `downstreamCredential` has thrown that in the tool. The client shows its user a URL that goes through Entra, and the
 * same call, repeated, works. It needs {@link oboToken} in front, with an API that names `tools`.
 *
 * @param error what the tool has caught
 * @param extra what the tool's handler got from the SDK
 * @param RequiredError the SDK's own class, because each SDK recognises only its own
 * @returns the result of the tool, for clients of 2026-07-28: with SDK v2 alone, because v1 does not serve them
 * @throws what `RequiredError` makes, for clients of 2025-11-25
 * @throws the error itself, when it is none that the user can do anything about, or when the client has not declared that
 *   it can show a URL: then the client's next refresh leads to a login that asks for the same
 * @see MCP, Elicitation, URL mode (SEP-1036)
 * @example
 * server.registerTool('my_mail', {}, async (extra) => {
 *   try {
 *     return text(await readMail(downstreamCredential(extra.authInfo)))
 *   } catch (error) {
 *     return askUser(error, extra, UrlElicitationRequiredError)
 *   }
 * })
 */
export async function askUser<Extra extends ToolContext | ToolExtra>(
  error: unknown,
  extra: Extra,
  RequiredError: UrlElicitationRequiredErrorClass,
): Promise<Extra extends ToolContext ? InputRequired : never> {
  const met = challengeIn(error)
  if (!met) throw error
  const auth = 'mcpReq' in extra ? extra.http?.authInfo : (extra as ToolExtra).authInfo
  const question = await internalsOf(auth, 'askUser').ask?.(met)
  if (!question) throw error
  // Only SDK v2 serves clients that take a result.
  if (question.form === 'result') return inputRequired(question) as never
  throw new RequiredError([requiredElicitation(question)], question.message)
}

/** Libraries wrap what a credential throws (Graph's client does, as `cause`). */
function challengeIn(error: unknown): ChallengeError | undefined {
  let inner = error
  for (let depth = 0; depth < 5 && inner instanceof Error; depth++) {
    if (inner instanceof ChallengeError) return inner
    inner = inner.cause
  }
  return undefined
}
