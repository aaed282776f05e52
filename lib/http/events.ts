/** The events of `diagnostics_channel`, a type for each. docs/events.md has the same as tables. */
import type { OAuthErrorCode } from '../oauth/errors.js'

/** Names of the events. Their channels are called `mcp-entra:login` and so on. */
export type EventName = keyof McpEntraEvents

/**
 * What each event tells its subscribers.
 *
 * @example
 * subscribe('mcp-entra:login', (message) => audit(message as McpEntraEvents['login']))
 */
export interface McpEntraEvents {
  readonly login: LoginEvent
  readonly token: TokenEvent
  readonly exchange: ExchangeEvent
  readonly revocation: RevocationEvent
  readonly refusal: RefusalEvent
  readonly failure: FailureEvent
  readonly warning: WarningEvent
}

/**
 * Who, through what, on whose authority. Every event has as much of it as is known for certain where it happens:
 * nothing is taken from a token that has not been verified.
 */
export interface EventSubject {
  /** The user that Entra has signed in, or for whom a trusted identity provider has vouched. */
  readonly user?: EventUser
  readonly client?: EventClient
  /** The agent that calls: for a person, for itself, or with a user account of its own. */
  readonly agent?: EventAgent
  /** Names the login: the same over all its refreshes, and no secret. */
  readonly grant?: string
  /** Short names. Of an exchange: the scopes of the downstream API. */
  readonly scopes?: readonly string[]
  /** URL of the MCP resource. */
  readonly resource?: string
  /** The MCP tool that is called, if a guard or `oboToken` was told of it; several when they come in a batch. */
  readonly tool?: string | readonly string[]
  /** Names the request in Entra's sign-in log. */
  readonly correlationId?: string
  /** Names Entra's answer. */
  readonly traceId?: string
  /** On the page that the user has read, too: ask them for it. */
  readonly reference?: string
}

/** A user: by the two ids that never change, or with `pseudonymousEvents` by a name made of them. */
export type EventUser =
  | { readonly tid: string; readonly oid: string }
  | { readonly pseudonym: string }

/** An agent of Microsoft Entra Agent ID. No person: pseudonyms do not hide it. */
export interface EventAgent {
  /** Application id of the agent identity: Entra's sign-in logs have it too. */
  readonly id: string
  /** Application id of its blueprint, if the token says so. */
  readonly blueprint?: string
  /** Object id of the user account that the agent acts with, if it does. */
  readonly account?: string
}

/** A client. */
export interface EventClient {
  /** SHA-256 of its client id, in base64url. */
  readonly id: string
  /** Host of its metadata document; without one, of the redirect URI it uses or has registered. */
  readonly host?: string
  /** The redirect URI stays on the user's device, on loopback or with a scheme of an app: no host vouches for it. */
  readonly onDevice?: true
}

/** What Entra said when it refused, or why it did not answer. */
interface EntraAnswer {
  /** AADSTS numbers. */
  readonly codes?: readonly number[]
  readonly suberror?: string
  /** HTTP status. */
  readonly status?: number
  /** What the operator should do. */
  readonly hint?: string
}

/** A sign-in has come to an end, or goes to Entra once more. */
export interface LoginEvent extends EventSubject {
  /**
   * `signed_in`: to the pages of the account, for no client. `interaction`: a user has given Entra what a tool needs,
   * and the login goes on. `consent_required`: who came back from Entra has not allowed what a login without the page
   * would give, and is asked. Another error is that of the client's answer.
   */
  readonly outcome: 'success' | 'challenged' | 'signed_in' | 'interaction' | OAuthErrorCode
  /** Whether the user was asked in this login, or what they had allowed before was enough. */
  readonly consent?: 'given' | 'remembered'
  readonly detail?: string
  readonly cause?: unknown
  readonly milliseconds?: number
}

/** Tokens were issued to a client. */
export interface TokenEvent extends EventSubject {
  readonly grantType: string
  /** The identity provider that has vouched for the user, where it was not Entra. */
  readonly issuer?: string
  /** The access token is bound to a key of the client (DPoP). */
  readonly bound?: true
  readonly milliseconds: number
}

/** A token was exchanged on behalf of its user, or Entra refused to. */
export interface ExchangeEvent extends EventSubject, EntraAnswer {
  readonly endpoint: 'on-behalf-of'
  readonly outcome?: string
  readonly reason?: string
  readonly detail?: string
  /** Whether a token was renewed ahead of time, while nobody waited. */
  readonly background?: boolean
  readonly milliseconds?: number
}

/** A login, or one access token, was ended before its time. */
export interface RevocationEvent extends EventSubject {
  readonly reason:
    | 'client'
    | 'code_replayed'
    | 'refresh_token_reused'
    | 'login_policy'
    | 'user'
    | 'operator'
  /** The tenant whose users' access has ended: all of it. */
  readonly tenant?: string
  /** What the client gave back: its access token alone, or its login with the refresh token. */
  readonly token?: 'access_token' | 'refresh_token'
  readonly detail?: string
}

/** A request was refused. */
export interface RefusalEvent extends EventSubject, EntraAnswer {
  readonly endpoint: string
  readonly reason: string
  readonly detail?: string
  /** The error that came through the browser instead of a code. */
  readonly error?: string
  /** Short names of the scopes that were missing, if that was the reason. */
  readonly needed?: readonly string[]
  readonly origin?: EventOrigin
}

/** Something of the operator's or of Entra's does not work. */
export interface FailureEvent extends EventSubject, EntraAnswer {
  readonly endpoint: string
  readonly reason: string
  readonly detail?: string
  readonly cause?: unknown
  /** The error itself; at the callback, the one that came through the browser instead of a code. */
  readonly error?: unknown
  readonly outcome?: string
  readonly background?: boolean
  readonly milliseconds?: number
  readonly origin?: EventOrigin
}

/** The set-up looks wrong, by what a request shows. Once in a process for each thing that does. */
export interface WarningEvent extends EventSubject {
  readonly reason:
    | 'no_discovery'
    | 'not_a_resource'
    | 'other_resource'
    | 'mounted_under_prefix'
    | 'prefix_stripped'
    | 'unknown_tools'
  readonly detail: string
  /** The line to change. */
  readonly hint: string
}

/**
 * Set when anybody can cause this without a login. Such failures are warnings in the log, limited in number. The
 * operator's own failures are errors, and each of them is logged.
 */
export type EventOrigin = 'stranger'
