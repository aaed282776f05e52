/** Entra's refusals: an AADSTS number, the OAuth error that belongs to it, and the body that Entra sends. */
import { randomUUID } from 'node:crypto'

interface Kind {
  readonly error: string
  readonly status?: number
  readonly suberror?: string
  /** Whether Entra adds a claims challenge by itself. */
  readonly challenge?: boolean
}

const grant: Kind = { error: 'invalid_grant' }
const dead: Kind = { error: 'invalid_grant', suberror: 'bad_token' }
const request: Kind = { error: 'invalid_request' }
const scope: Kind = { error: 'invalid_scope' }
const client: Kind = { error: 'invalid_client', status: 401 }
const denied: Kind = { error: 'access_denied' }
const interaction: Kind = { error: 'invalid_grant', suberror: 'basic_action', challenge: true }
const blocked: Kind = { error: 'invalid_grant', suberror: 'message_only', challenge: true }
const transient: Kind = { error: 'temporarily_unavailable', status: 503 }

const kinds: Readonly<Record<number, Kind>> = {
  16000: { error: 'interaction_required' },
  28000: request,
  28002: scope,
  28003: request,
  50001: { error: 'invalid_resource' },
  50011: request,
  50013: grant,
  50020: grant,
  50027: request,
  50033: transient,
  50034: grant,
  50053: grant,
  50057: grant,
  50058: { error: 'login_required' },
  50074: interaction,
  50076: interaction,
  50078: interaction,
  50079: interaction,
  50089: dead,
  50105: denied,
  50126: grant,
  50132: dead,
  50133: dead,
  50148: grant,
  50149: request,
  50158: interaction,
  50173: dead,
  50194: request,
  50196: grant,
  53000: blocked,
  53001: blocked,
  53002: blocked,
  53003: blocked,
  54005: grant,
  65001: { error: 'invalid_grant', suberror: 'consent_required' },
  65004: denied,
  65005: { error: 'invalid_client' },
  70000: grant,
  70003: { error: 'unsupported_grant_type' },
  70005: { error: 'unsupported_response_type' },
  70007: request,
  70008: dead,
  70011: scope,
  70043: dead,
  82014: request,
  90002: request,
  90006: transient,
  90009: request,
  90013: request,
  90014: request,
  90023: request,
  90024: transient,
  90033: transient,
  90055: { error: 'temporarily_unavailable', status: 429 },
  90090: transient,
  500011: { error: 'invalid_resource' },
  500112: grant,
  500113: request,
  500131: grant,
  500133: grant,
  501481: grant,
  501491: request,
  530032: blocked,
  530084: blocked,
  650053: { error: 'invalid_client' },
  650056: { error: 'invalid_client' },
  650057: { error: 'invalid_resource' },
  700005: grant,
  700009: request,
  700016: { error: 'unauthorized_client' },
  700021: client,
  700022: scope,
  700023: client,
  700024: client,
  700025: client,
  700027: client,
  700054: { error: 'unsupported_response_type' },
  700082: dead,
  700084: dead,
  700211: client,
  700212: client,
  700213: client,
  700222: client,
  700229: client,
  900144: request,
  900439: request,
  900561: request,
  901002: request,
  1002012: scope,
  5002741: client,
  7000114: { error: 'unauthorized_client' },
  7000215: client,
  7000218: client,
  7000222: client,
  7002138: client,
  9001023: grant,
  9002313: grant,
  9002325: request,
  9002326: request,
  9002327: request,
  9010010: { error: 'invalid_target' },
}

/** Further members of a refusal. */
export interface RefusalDetails {
  readonly error?: string | undefined
  readonly status?: number | undefined
  readonly suberror?: string | undefined
  /** The claims challenge, already as the JSON string Entra sends. */
  readonly claims?: string | undefined
}

/** A refusal of Entra. It becomes a JSON body, an error page or a redirect with `error`. */
export class AadstsError extends Error {
  override readonly name = 'AadstsError'
  readonly code: number
  readonly error: string
  readonly status: number
  readonly suberror: string | undefined
  readonly claims: string | undefined

  constructor(code: number, sentence: string, details: RefusalDetails = {}) {
    super(`AADSTS${code}: ${sentence}`)
    const kind = kinds[code] ?? grant
    this.code = code
    this.error = details.error ?? kind.error
    this.status = details.status ?? kind.status ?? 400
    this.suberror = details.suberror ?? kind.suberror
    this.claims = details.claims ?? (kind.challenge ? claimsChallenge() : undefined)
  }
}

/** Throws the refusal with this number. */
export function refuse(code: number, sentence: string, details?: RefusalDetails): never {
  throw new AadstsError(code, sentence, details)
}

/** The parameter's value; AADSTS900144 when the request lacks it. */
export function required(params: Readonly<Record<string, string>>, name: string): string {
  const value = params[name]
  if (value) return value
  return refuse(900144, `The request must contain the following parameter: '${name}'.`)
}

/** Ids and time that go into every refusal. */
export interface Trace {
  readonly traceId: string
  readonly correlationId: string
  /** Seconds since 1970. */
  readonly time: number
}

/** Makes a trace with new ids, echoing the caller's `client-request-id` when it is a GUID. */
export function newTrace(time: number, correlationId: string | undefined): Trace {
  const known = correlationId !== undefined && /^[0-9a-f-]{36}$/i.test(correlationId)
  return { traceId: randomUUID(), correlationId: known ? correlationId : randomUUID(), time }
}

/** `error_description` as Entra writes it: the sentence, then ids and time on lines of their own. */
export function describe(error: AadstsError, trace: Trace): string {
  return [
    error.message,
    `Trace ID: ${trace.traceId}`,
    `Correlation ID: ${trace.correlationId}`,
    `Timestamp: ${timestamp(trace)}`,
  ].join('\r\n')
}

/** The JSON body of a refused token request. */
export function errorBody(error: AadstsError, trace: Trace, url: string): Record<string, unknown> {
  return {
    error: error.error,
    error_description: describe(error, trace),
    error_codes: [error.code],
    timestamp: timestamp(trace),
    trace_id: trace.traceId,
    correlation_id: trace.correlationId,
    error_uri: `${url}/error?code=${error.code}`,
    ...(error.suberror ? { suberror: error.suberror } : {}),
    ...(error.claims ? { claims: error.claims } : {}),
  }
}

function timestamp({ time }: Trace): string {
  return new Date(time * 1000).toISOString().replace('T', ' ').replace('.000Z', 'Z')
}

function claimsChallenge(): string {
  return JSON.stringify({
    access_token: { capolids: { essential: true, values: [randomUUID()] } },
  })
}
