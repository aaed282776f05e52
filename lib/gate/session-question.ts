/**
 * Asking the user of an MCP client in the middle of a tool call: what a request says of its client, and how the question
 * is put. The wire has two forms: 2026-07-28 returns a result that wants input, 2025-11-25 an error of its own.
 */
import { type Challenge, kindOf } from '../tokens/challenges.js'
import { interactionId } from '../tokens/interactions.js'
import type { CallerSession } from './caller-session.js'

/** A URL that the user has to open. */
export interface Question {
  /** `result`: `InputRequiredResult` (2026-07-28). `error`: `URLElicitationRequiredError` (2025-11-25). */
  readonly form: 'result' | 'error'
  /** Names the interaction. */
  readonly id: string
  readonly url: string
  /** For the user, before they open the URL. */
  readonly message: string
  /** What the client has sent along for the tool itself. */
  readonly requestState?: string
}

/** A result that wants input. @see MCP 2026-07-28, Multi Round-Trip Requests */
export interface InputRequired {
  resultType: 'input_required'
  inputRequests: Record<string, UrlRequest>
  requestState?: string
}

/** The request to show the user a URL. @see MCP 2026-07-28, Elicitation, URL mode */
export interface UrlRequest {
  method: 'elicitation/create'
  params: { mode: 'url'; message: string; url: string }
}

/** The same, in the words of 2025-11-25. */
export interface RequiredElicitation {
  mode: 'url'
  message: string
  elicitationId: string
  url: string
}

/** One message of a client, and the login that it came with. */
export interface SessionRequest {
  readonly session: CallerSession
  /** A JSON-RPC message, which is none of a batch. */
  readonly message: object
}

/** What is put before the id of an interaction: a tool may have asked for input of its own. */
const keyPrefix = 'signIn.'

/** How the user of a request is asked. */
export interface Asking {
  /** Whether the user can be asked. */
  can(): Promise<boolean>
  /** Asks; undefined when the client has not declared that it can show a URL. @throws OAuthError 503 */
  ask(met: MetChallenge): Promise<Question | undefined>
}

/** A challenge, and what the call wanted that met it. */
export interface MetChallenge {
  readonly challenge: Challenge
  readonly wanted: string
}

/** Finds out how the user of a request is asked, when that is needed for the first time. */
export function askingOf(request: SessionRequest): Asking {
  let form: ReturnType<typeof questionForm> | undefined
  const formOnce = () => {
    form ??= questionForm(request)
    return form
  }
  return {
    can: async () => (await formOnce()) !== undefined,
    async ask(met) {
      const known = await formOnce()
      return known && putQuestion(request, known, met)
    },
  }
}

/** Notes what a client declares when it connects (2025-11-25). Later messages do not repeat it. */
export async function noteDeclaration({ session, message }: SessionRequest): Promise<void> {
  if (member(message, 'method') !== 'initialize') return
  const declared = canShowUrl(member(member(message, 'params'), 'capabilities'))
  const noted = session.noteUrlElicitation(declared)
  // Nobody who does not use this waits for it.
  if (declared) await noted
}

/** Puts a question. @throws OAuthError 503 */
async function putQuestion(
  { session, message }: SessionRequest,
  form: Question['form'],
  { challenge, wanted }: MetChallenge,
): Promise<Question> {
  const { id, url } = await session.begin(challenge, wanted)
  const state = member(member(message, 'params'), 'requestState')
  return {
    form,
    id,
    url,
    message: messageFor(challenge, url),
    // A tool that was in the middle of a conversation of its own finds its place again.
    ...(typeof state === 'string' && { requestState: state }),
  }
}

/** How the client of this request is asked; undefined when it has not declared that it can show a URL. */
async function questionForm({
  session,
  message,
}: SessionRequest): Promise<Question['form'] | undefined> {
  if (!isToolCall(message)) return undefined
  const meta = member(member(message, 'params'), '_meta')
  if (member(meta, 'io.modelcontextprotocol/protocolVersion') !== undefined) {
    return canShowUrl(member(meta, 'io.modelcontextprotocol/clientCapabilities'))
      ? 'result'
      : undefined
  }
  return (await session.hasUrlElicitation()) ? 'error' : undefined
}

/**
 * Hears what became of a question that this request repeats. Clients repeat it as soon as the user has agreed to open
 * the URL, so this waits a while for the user to finish.
 *
 * @param isGone whether the client has left
 * @returns whether the user has said no
 * @throws OAuthError 503
 */
export async function hearAnswer(request: SessionRequest, isGone: () => boolean): Promise<boolean> {
  const answer = answerTo(request)
  if (!answer) return false
  if (!answer.agreed) return true
  await request.session.waitFor(answer.id, isGone)
  return false
}

/** The answer to a call whose user has to be asked first: a whole JSON-RPC message. */
export function questionMessage({ message }: SessionRequest, question: Question): object {
  const id = member(message, 'id')
  if (question.form === 'error') return { jsonrpc: '2.0', id, error: urlElicitationError(question) }
  return { jsonrpc: '2.0', id, result: inputRequired(question) }
}

/** The answer to a call whose user has said no: the tool has failed, and the model hears why. */
export function declinedMessage({ message }: SessionRequest): object {
  const text =
    'Microsoft Entra needs more from the user before this tool can run, and the user has declined.'
  const result = { resultType: 'complete', content: [{ type: 'text', text }], isError: true }
  return { jsonrpc: '2.0', id: member(message, 'id'), result }
}

/** @see MCP 2026-07-28, Multi Round-Trip Requests */
export function inputRequired({ id, url, message, requestState }: Question): InputRequired {
  const params = { mode: 'url', message, url } as const
  return {
    resultType: 'input_required',
    inputRequests: { [keyPrefix + id]: { method: 'elicitation/create', params } },
    ...(requestState !== undefined && { requestState }),
  }
}

/** @see MCP 2025-11-25, Elicitation, URL mode */
export function requiredElicitation({ id, url, message }: Question): RequiredElicitation {
  return { mode: 'url', message, elicitationId: id, url }
}

/** @see MCP 2025-11-25, URLElicitationRequiredError (-32042) */
function urlElicitationError(question: Question) {
  const { message } = question
  return { code: -32042, message, data: { elicitations: [requiredElicitation(question)] } }
}

/** What the client says of the question that this request repeats: the user's word, which nobody has checked. */
function answerTo({ message }: SessionRequest): { id: string; agreed: boolean } | undefined {
  if (!isToolCall(message)) return undefined
  const responses = member(member(message, 'params'), 'inputResponses')
  if (typeof responses !== 'object' || responses === null) return undefined
  const key = Object.keys(responses).find(isOurs)
  if (key === undefined) return undefined
  const agreed = member(member(responses, key), 'action') === 'accept'
  return { id: key.slice(keyPrefix.length), agreed }
}

/** A tool may have a `signIn.` of its own. */
function isOurs(key: string): boolean {
  return key.startsWith(keyPrefix) && interactionId.test(key.slice(keyPrefix.length))
}

/** A call whose caller waits for an answer: a notification has no `id`. */
function isToolCall(message: object): boolean {
  return member(message, 'method') === 'tools/call' && Object.hasOwn(message, 'id')
}

/** The domain stands in the text, because it is what the user has to look at. It names nobody. */
function messageFor(challenge: Challenge, url: string): string {
  const { host } = new URL(url)
  return `${reasons[kindOf(challenge)]} Open this page of ${host}, which leads to Microsoft, and sign in with the same account.`
}

const reasons = {
  claims: 'Microsoft wants more proof that it is you, such as MFA.',
  consent: 'A permission is needed that you have not given yet.',
  'sign-in': 'This needs your own sign-in at Microsoft.',
} as const

function canShowUrl(capabilities: unknown): boolean {
  const url = member(member(capabilities, 'elicitation'), 'url')
  return typeof url === 'object' && url !== null
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return (value as Record<string, unknown>)[name]
}
