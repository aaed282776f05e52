/** One request of the doctor's: a deadline, no redirects, a bounded body, and never an exception. */
import { EntraError } from '../../entra/errors.js'
import { fetchUpstream, type UpstreamResponse } from '../../entra/http-client.js'
import { jsonObject } from '../../entra/json-object.js'

/** Seconds for one request. */
const deadline = 5
/** Longest body, in bytes. */
const longest = 256 * 1024

/** What came back. `trouble` says why nothing did. */
export type Sight =
  | { readonly trouble: string }
  | (UpstreamResponse & {
      readonly trouble?: never
      /** The members of a JSON object; none for anything else. */
      readonly json: Readonly<Record<string, unknown>>
      readonly isHtml: boolean
    })

export interface LookOptions {
  readonly method?: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export async function look(url: string, options: LookOptions = {}): Promise<Sight> {
  const { method = 'GET', headers = {}, body } = options
  try {
    const answer = await fetchUpstream(url, {
      method,
      headers: { accept: 'application/json', ...headers },
      ...(body !== undefined && { body }),
      timeout: deadline,
      maxBytes: longest,
    })
    const type = answer.headers['content-type'] ?? ''
    return { ...answer, json: jsonObject(answer.body), isHtml: /html/i.test(type) }
  } catch (error) {
    return { trouble: reasonOf(error) }
  }
}

function reasonOf(error: unknown): string {
  const { message } = error as Error
  const { code } = ((error instanceof EntraError ? error.cause : undefined) ??
    {}) as NodeJS.ErrnoException
  return typeof code === 'string' ? `${message} (${code})` : message
}
