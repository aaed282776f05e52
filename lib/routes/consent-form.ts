/** The consent form: carries the authorization request, sealed, from `/authorize` to `/consent`. */
import { randomId, randomSecret } from '../crypto/hashing.js'
import { openJson, sealJson } from '../crypto/sealing.js'
import type { Browser } from '../http/browser.js'
import { OAuthError } from '../oauth/errors.js'
import { longestParam, type Params, required } from '../oauth/params.js'
import type { UserId } from '../tokens/connected-apps.js'
import type { AuthorizationRequest } from './authorization-request.js'
import type { ProxyContext } from './context.js'

type FormContext = Pick<ProxyContext, 'consentCookies' | 'ring' | 'lifetimes' | 'now'>

/** What a form carries. */
export interface ConsentForm {
  readonly request: AuthorizationRequest
  /** Whom the page asks, where that is known. */
  readonly askedUser?: UserId
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** The form opens only together with the cookie that is set along with its page. */
const consentSeal = (cookie: string) => ({ purpose: 'consent form', boundTo: cookie })

/**
 * Sets the cookie of a new form.
 *
 * @returns the hidden fields
 * @throws OAuthError `invalid_request` when the request is too long for a form
 */
export function writeConsentForm(
  context: FormContext,
  { req, res }: Browser,
  request: AuthorizationRequest,
  askedUser?: UserId,
): { readonly form: string; readonly request: string } {
  const cookie = randomSecret()
  const form: ConsentForm = {
    request,
    ...(askedUser && { askedUser: { tid: askedUser.tid, oid: askedUser.oid } }),
    expiresAt: context.now() + context.lifetimes.login * 1000,
  }
  const fields = { form: randomId(), request: sealJson(context.ring, consentSeal(cookie), form) }
  if (fields.request.length > longestParam) {
    throw new OAuthError(
      'invalid_request',
      "The request is too long to be carried in a form: shorten 'state', 'redirect_uri' or the hints.",
    )
  }
  context.consentCookies.write(req, res, fields.form, cookie)
  return fields
}

/**
 * Opens the form that a browser sends.
 *
 * @throws OAuthError `access_denied` when it has expired, or was shown in another browser
 */
export function readConsentForm(
  context: FormContext,
  req: Browser['req'],
  params: Params,
): ConsentForm {
  const cookie = context.consentCookies.read(req, required(params, 'form'))
  const form =
    cookie &&
    (openJson(context.ring, consentSeal(cookie), required(params, 'request')) as
      | ConsentForm
      | undefined)
  if (!form || form.expiresAt <= context.now()) {
    throw new OAuthError(
      'access_denied',
      'This page has expired, or it was opened in another browser. Start again from the application.',
      { situation: 'pageExpired' },
    )
  }
  return form
}
