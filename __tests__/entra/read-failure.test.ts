import { inspect } from 'node:util'
import { describe, expect, it } from '@jest/globals'
import { EntraError, type EntraFailureKind, UpstreamOutage } from '../../lib/entra/errors.js'
import { readFailure } from '../../lib/entra/read-failure.js'

interface Body {
  [member: string]: unknown
}

function failure(
  body: Body | string,
  status = 400,
  headers: Record<string, string> = {},
): EntraError {
  const text = typeof body === 'string' ? body : JSON.stringify(body)
  return readFailure({ status, headers, body: text })
}

const claims = '{"access_token":{"capolids":{"essential":true,"values":["1"]}}}'

/** reference: codes by the OAuth error they come with, what they ask for, and whether the operator gets a hint. */
const table: [string, number[], EntraFailureKind, boolean][] = [
  [
    'invalid_request',
    [28000, 28003, 900144, 90009, 901002, 9002325, 9002326, 9002327],
    'misconfigured',
    true,
  ],
  ['invalid_scope', [700022, 28002, 70011], 'misconfigured', true],
  ['invalid_resource', [50001, 500011, 650057], 'misconfigured', true],
  ['invalid_client', [50011, 500113, 65005, 650053, 650056], 'misconfigured', true],
  ['invalid_grant', [700005], 'misconfigured', true],
  ['unauthorized_client', [700016], 'misconfigured', true],
  ['invalid_client', [7000215, 7000222, 7000218, 700025, 700024, 700027], 'misconfigured', true],
  ['invalid_client', [700213, 7002138, 700229, 5002741], 'misconfigured', true],
  ['invalid_target', [9010010], 'misconfigured', true],
  ['invalid_request', [90002, 90038, 900439, 900432, 50194, 9001023], 'misconfigured', true],
  ['invalid_grant', [50013, 500133], 'invalid_assertion', false],
  ['invalid_request', [50027], 'invalid_assertion', false],
  ['invalid_grant', [500131], 'invalid_assertion', true],
  ['unauthorized_client', [7000114], 'app_only', true],
  ['invalid_grant', [50020, 16000, 50105], 'access_denied', true],
  ['invalid_grant', [50126, 50053, 50057], 'access_denied', false],
  ['access_denied', [65004], 'access_denied', false],
  ['invalid_grant', [50076, 50079, 50074, 50078, 50158], 'interaction_required', false],
  ['invalid_grant', [53000, 53001, 53002, 53003, 530032], 'interaction_required', false],
  [
    'invalid_grant',
    [50173, 50132, 50133, 50089, 54005, 501481, 70008, 700082, 70043],
    'invalid_grant',
    false,
  ],
  ['invalid_grant', [700084], 'invalid_grant', true],
  ['invalid_grant', [65001], 'consent_required', true],
  ['invalid_grant', [50196], 'unavailable', true],
  ['temporarily_unavailable', [90055, 90006, 90024, 90033, 90090, 50033], 'unavailable', false],
]

describe('readFailure', () => {
  for (const [error, codes, kind, hinted] of table) {
    it.each(codes)(`takes ${error} with AADSTS%s for ${kind}`, (code) => {
      const found = failure({ error, error_codes: [code] })
      expect(found).toBeInstanceOf(EntraError)
      expect(found.kind).toBe(kind)
      expect(found.codes).toEqual([code])
      expect(found.message).toContain(`AADSTS${code}`)
      expect(found.hint !== undefined).toBe(hinted)
    })
  }

  it('tells the operator what to do in the portal or at the command line', () => {
    const { hint } = failure({ error: 'invalid_client', error_codes: [7000215] }, 401)
    expect(hint).toContain('Certificates & secrets')
    expect(hint).toContain('az ad app credential reset')
  })

  it('sees MFA by its claims, although error says invalid_grant', () => {
    const found = failure({
      error: 'invalid_grant',
      suberror: 'basic_action',
      claims,
      error_codes: [50076],
    })
    expect(found).toMatchObject({ kind: 'interaction_required', claims, suberror: 'basic_action' })
  })

  it('sees a challenge by its claims even under a code that says otherwise', () => {
    expect(failure({ error: 'invalid_grant', claims, error_codes: [50173] }).kind).toBe(
      'interaction_required',
    )
    expect(failure({ error: 'invalid_grant', claims, error_codes: [4711] }).kind).toBe(
      'interaction_required',
    )
  })

  it('sees consent before a challenge', () => {
    const found = failure({
      error: 'invalid_grant',
      suberror: 'consent_required',
      claims,
      error_codes: [4711],
    })
    expect(found.kind).toBe('consent_required')
    expect(failure({ error: 'invalid_grant', claims, error_codes: [65001] }).kind).toBe(
      'consent_required',
    )
  })

  it.each([
    ['basic_action', 'interaction_required'],
    ['additional_action', 'interaction_required'],
    ['message_only', 'interaction_required'],
    ['user_password_expired', 'interaction_required'],
    ['consent_required', 'consent_required'],
    ['bad_token', 'invalid_grant'],
  ])('goes by the suberror %s when it does not know the code', (suberror, kind) => {
    expect(failure({ error: 'interaction_required', suberror, error_codes: [4711] }).kind).toBe(
      kind,
    )
  })

  it.each([
    ['invalid_grant', 'invalid_grant'],
    ['interaction_required', 'interaction_required'],
    ['login_required', 'interaction_required'],
    ['consent_required', 'consent_required'],
    ['access_denied', 'access_denied'],
    ['invalid_client', 'misconfigured'],
    ['unauthorized_client', 'misconfigured'],
    ['invalid_request', 'misconfigured'],
    ['invalid_scope', 'misconfigured'],
    ['invalid_resource', 'misconfigured'],
    ['invalid_target', 'misconfigured'],
    ['unsupported_grant_type', 'misconfigured'],
    ['temporarily_unavailable', 'unavailable'],
    ['server_error', 'unavailable'],
    ['news_to_us', 'unavailable'],
    ['constructor', 'unavailable'],
  ])('goes by the error %s when it knows nothing more exact', (error, kind) => {
    expect(failure({ error }).kind).toBe(kind)
  })

  it('takes the first code it knows of several', () => {
    expect(failure({ error: 'invalid_grant', error_codes: [4711, '65001', 50173] }).kind).toBe(
      'consent_required',
    )
  })

  it.each([
    ['a gateway page', '<html><h1>502 Bad Gateway</h1></html>', 502],
    ['a page that says 200', '<html>maintenance</html>', 200],
    ['nothing', '', 400],
    ['a number', '7', 400],
    ['null', 'null', 400],
    ['a list', '[]', 400],
    ['a refusal that is really throttling', '{"error":"invalid_grant","error_codes":[50173]}', 429],
    ['a refusal that is really a crash', '{"error":"invalid_grant","error_codes":[50173]}', 500],
    ['a redirect', '', 302],
  ])('takes %s for an outage and keeps the status', (_what, body, status) => {
    const found = failure(body, status)
    expect(found).toBeInstanceOf(UpstreamOutage)
    expect(found).toMatchObject({ kind: 'unavailable', status, name: 'UpstreamOutage' })
  })

  it('keeps how long Entra wants to be left alone', () => {
    expect(failure('', 503, { 'retry-after': '7' }).retryAfter).toBe(7)
    expect(readFailure({ status: 429, headers: {}, body: '', retryAfter: 9 }).retryAfter).toBe(9)
    expect(failure('', 503).retryAfter).toBeUndefined()
    expect(failure({ error: 'invalid_grant', error_codes: [50196] }).retryAfter).toBe(120)
  })

  it('keeps the ids to give to support, from the body or else from the headers', () => {
    const ids = { correlation_id: 'c-1', trace_id: 't-1' }
    const headers = { 'client-request-id': 'c-2', 'x-ms-request-id': 't-2' }
    expect(failure({ error: 'invalid_grant', ...ids }, 400, headers)).toMatchObject({
      correlationId: 'c-1',
      traceId: 't-1',
    })
    expect(failure('<html>', 502, headers)).toMatchObject({ correlationId: 'c-2', traceId: 't-2' })
  })

  it("has a message of codes and ids only, and shows Entra's words to nobody who does not ask", () => {
    const found = failure({
      error: 'invalid_grant',
      suberror: 'consent_required',
      error_codes: [65001],
      correlation_id: 'c-1',
      trace_id: 't-1',
      error_description: 'AADSTS65001: ada@contoso.com has not consented to Notes MCP',
    })
    expect(found.message).toBe(
      'Entra refused: HTTP 400, AADSTS65001, invalid_grant/consent_required, correlation id c-1, trace id t-1',
    )
    for (const shown of [
      inspect(found),
      JSON.stringify(found),
      String(found.stack),
      Object.keys(found).join(),
    ]) {
      expect(shown).not.toContain('ada')
      expect(shown).not.toContain('description')
    }
    expect(found.description).toContain('ada@contoso.com')
  })

  it('lets nothing but words and numbers from Entra into the message', () => {
    const found = failure({
      error: 'bad\nFAKE LOG LINE',
      suberror: '<script>',
      error_codes: ['x', -1, 1.5, {}, null],
      correlation_id: 'a b',
      trace_id: 7,
      claims: 'not json',
    })
    expect(found.message).toBe('Entra refused: HTTP 400')
    expect(found).toMatchObject({
      codes: [],
      error: undefined,
      claims: undefined,
      traceId: undefined,
    })
  })

  it.each(['{}', '7', '', '[]', { a: 1 }])('takes claims of %j for none', (empty) => {
    expect(failure({ error: 'invalid_grant', claims: empty }).kind).toBe('invalid_grant')
  })
})
