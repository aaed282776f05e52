/**
 * What the code knows of whom and what an event is about. These are facts as they are at hand, secrets among them, at
 * no cost: the event's own fields are made of them only when somebody listens.
 */
import { OAuthError } from '../oauth/errors.js'
import type { EventAgent } from './events.js'

/** See the file's own comment. */
export interface EventFacts {
  readonly user?: { readonly tid: string; readonly oid: string } | undefined
  readonly client?: ClientFacts | undefined
  readonly agent?: EventAgent | undefined
  /** The secret of the grant. Events show an id made of it. */
  readonly sid?: string | undefined
  /** Short names. */
  readonly scopes?: readonly string[] | undefined
  readonly resource?: string | undefined
  /** Only tools that the operator has named: a client may send anything as the name of another. */
  readonly tools?: readonly string[] | undefined
  readonly trace?: EntraTrace | undefined
  /** What the page says that its user has read. */
  readonly reference?: string | undefined
}

/** A client, as far as it is known: by its id, or by the hash of that. */
export interface ClientFacts {
  readonly id?: string | undefined
  /** SHA-256 of the client id. */
  readonly hash?: string | undefined
  /** Host of its metadata document, where the id is not at hand. */
  readonly host?: string | undefined
  /** The redirect URI in use. */
  readonly redirectUri?: string | undefined
  /** Whether its sign-ins stay on a device, where the redirect URI is not at hand. */
  readonly onDevice?: boolean | undefined
}

/** The ids under which Entra logs a request to its token endpoint. */
export interface EntraTrace {
  readonly correlationId?: string | undefined
  readonly traceId?: string | undefined
}

/** Not a property, so that nothing which prints an error finds the secrets among the facts. */
const known = new WeakMap<OAuthError, EventFacts>()

/**
 * Says whom an error is about. It returns a copy: requests that wait for the same thing may share an error, and each has
 * a caller of its own. What was said of an error before counts more. Anything but an OAuthError is returned as it is.
 */
export function attribute(error: unknown, facts: EventFacts): unknown {
  if (!(error instanceof OAuthError)) return error
  const { code, description, cause, status, retryAfter, scopes, situation } = error
  const copy = new OAuthError(code, description, {
    cause,
    status,
    scopes,
    ...(retryAfter !== undefined && { retryAfter }),
    ...(situation && { situation }),
  })
  known.set(copy, { ...facts, ...factsOf(error) })
  return copy
}

/** Whom an error is about, as far as {@link attribute} was told. */
export function factsOf(error: OAuthError): EventFacts {
  return known.get(error) ?? {}
}
