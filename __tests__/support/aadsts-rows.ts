/** Every refusal a proxy or a middle tier meets at Entra, and what has to come of it. */
import type { EntraFailureKind } from '../../lib/entra/errors.js'

/** AADSTS numbers that ask for the same. */
export interface AadstsRow {
  readonly codes: readonly number[]
  readonly meaning: string
  readonly kind: EntraFailureKind
  /** Words of the remedy the operator reads; none where only the user can do something. */
  readonly hint?: RegExp
}

const expired = 'the login has ended'
const portal = /Entra admin center > App registrations/

export const aadstsRows: readonly AadstsRow[] = [
  {
    codes: [28000, 700022],
    meaning: 'scopes of several resources',
    kind: 'misconfigured',
    hint: /more than one resource/,
  },
  {
    codes: [28002, 70011],
    meaning: 'a scope is malformed',
    kind: 'misconfigured',
    hint: /\.default/,
  },
  {
    codes: [28003, 900144],
    meaning: 'no scope',
    kind: 'misconfigured',
    hint: /name at least one scope/,
  },
  {
    codes: [50001, 500011],
    meaning: 'the API is not in the tenant',
    kind: 'misconfigured',
    hint: /az ad sp create/,
  },
  {
    codes: [50011, 500113],
    meaning: 'the redirect URI is not registered',
    kind: 'misconfigured',
    hint: /\{baseUrl\}\/auth\/callback/,
  },
  {
    codes: [50013, 50027, 500133],
    meaning: 'the assertion is bad or too old',
    kind: 'invalid_assertion',
  },
  {
    codes: [500131],
    meaning: 'the assertion is for another app',
    kind: 'invalid_assertion',
    hint: /audience must be this client id/,
  },
  {
    codes: [50020, 16000],
    meaning: 'a user of another tenant',
    kind: 'access_denied',
    hint: /invite them as a guest/,
  },
  { codes: [50076, 50079, 50074, 50078, 50158], meaning: 'MFA', kind: 'interaction_required' },
  {
    codes: [53000, 53001, 53002, 53003, 530032],
    meaning: 'Conditional Access',
    kind: 'interaction_required',
  },
  {
    codes: [530084],
    meaning: 'token protection',
    kind: 'interaction_required',
    hint: /out of that policy/,
  },
  {
    codes: [50105],
    meaning: 'the user is not assigned',
    kind: 'access_denied',
    hint: /Users and groups/,
  },
  { codes: [50126, 50053, 50057], meaning: 'the user cannot sign in', kind: 'access_denied' },
  {
    codes: [50173, 50132, 50133, 50089],
    meaning: 'the session was revoked',
    kind: 'invalid_grant',
  },
  { codes: [50196], meaning: 'a loop', kind: 'unavailable', hint: /retries without pause/ },
  { codes: [54005, 501481], meaning: 'the code is used up, or not ours', kind: 'invalid_grant' },
  {
    codes: [65001],
    meaning: 'no consent',
    kind: 'consent_required',
    hint: /az ad app permission admin-consent/,
  },
  { codes: [65004], meaning: 'the user declined', kind: 'access_denied' },
  {
    codes: [65005, 650053, 650056, 650057],
    meaning: 'a scope or a permission is missing',
    kind: 'misconfigured',
    hint: /API permissions/,
  },
  {
    codes: [700005],
    meaning: 'a code of another tenant',
    kind: 'misconfigured',
    hint: /one tenantId for both/,
  },
  { codes: [70008, 700082, 70043], meaning: expired, kind: 'invalid_grant' },
  {
    codes: [700084],
    meaning: `${expired}, as it does in single-page applications`,
    kind: 'invalid_grant',
    hint: /platform "Web"/,
  },
  {
    codes: [700016],
    meaning: 'the app is not in the tenant',
    kind: 'misconfigured',
    hint: /compare clientId and tenantId/,
  },
  {
    codes: [7000215],
    meaning: 'a wrong secret',
    kind: 'misconfigured',
    hint: /Secret ID was pasted/,
  },
  {
    codes: [7000222],
    meaning: 'an expired secret',
    kind: 'misconfigured',
    hint: /az ad app credential reset/,
  },
  {
    codes: [7000218],
    meaning: 'no credential',
    kind: 'misconfigured',
    hint: /set `credential` of entraAuth/,
  },
  {
    codes: [700025],
    meaning: 'a public client',
    kind: 'misconfigured',
    hint: /Allow public client flows/,
  },
  {
    codes: [700024],
    meaning: 'an outdated assertion',
    kind: 'misconfigured',
    hint: /the clock of this machine/,
  },
  {
    codes: [700027],
    meaning: 'an unknown certificate',
    kind: 'misconfigured',
    hint: /upload its public part/,
  },
  {
    codes: [700211, 700212, 700213, 7002138],
    meaning: 'no federated credential fits',
    kind: 'misconfigured',
    hint: /case-sensitive/,
  },
  {
    codes: [700222, 700229],
    meaning: 'a federated user or app registration',
    kind: 'misconfigured',
    hint: /user-assigned managed identities/,
  },
  {
    codes: [5002741],
    meaning: 'several audiences',
    kind: 'misconfigured',
    hint: /exactly one audience/,
  },
  {
    codes: [7000114],
    meaning: 'no user to act for',
    kind: 'app_only',
    hint: /its own client credentials/,
  },
  {
    codes: [82014],
    meaning: 'an agent at /authorize',
    kind: 'misconfigured',
    hint: /ordinary app registration/,
  },
  {
    codes: [90009],
    meaning: 'no scope, for itself',
    kind: 'misconfigured',
    hint: /api:\/\/<client id>/,
  },
  {
    codes: [901002, 9010010],
    meaning: 'a `resource` parameter',
    kind: 'misconfigured',
    hint: /identifierUris/,
  },
  {
    codes: [9002325, 9002326, 9002327],
    meaning: 'the wrong platform',
    kind: 'misconfigured',
    hint: portal,
  },
  {
    codes: [90002, 90038, 900439, 900432],
    meaning: 'no such tenant here',
    kind: 'misconfigured',
    hint: /national cloud/,
  },
  {
    codes: [50194, 9001023],
    meaning: 'an app of one tenant at an endpoint of many',
    kind: 'misconfigured',
    hint: /set tenantId/,
  },
  { codes: [90055, 90006, 90024, 90033, 90090, 50033], meaning: 'not now', kind: 'unavailable' },
]

/** What comes of a refusal, by its kind: `error` and HTTP status a client gets, and the grant's lot. */
export interface Outcome {
  /** At the end of a login: a redirect with this `error`. */
  readonly login: string
  /** Of `grant_type=refresh_token`. */
  readonly refresh: { readonly error: string; readonly status: number }
  /** What a failed refresh leaves behind. */
  readonly grant: 'kept' | 'revoked'
}

const ended = { refresh: { error: 'invalid_grant', status: 400 }, grant: 'revoked' } as const
const later = { refresh: { error: 'temporarily_unavailable', status: 503 }, grant: 'kept' } as const

export const outcomes: Readonly<Record<EntraFailureKind, Outcome>> = {
  invalid_grant: { login: 'server_error', ...ended },
  invalid_assertion: { login: 'server_error', ...ended },
  app_only: { login: 'server_error', ...ended },
  interaction_required: { login: 'access_denied', ...ended },
  consent_required: { login: 'access_denied', ...ended },
  access_denied: { login: 'access_denied', ...ended },
  misconfigured: { login: 'server_error', ...later },
  unavailable: { login: 'temporarily_unavailable', ...later },
}
