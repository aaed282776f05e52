/** The AADSTS numbers that a proxy or a middle tier meets, and what each of them calls for. */
import type { EntraFailureKind } from './errors.js'

/** The kind of a failure and, for the operator, what fixes it. */
export interface Outcome {
  readonly kind: EntraFailureKind
  readonly hint?: string
  /** Seconds to wait, when Entra names none. */
  readonly retryAfter?: number
}

type Row = readonly [codes: readonly number[], kind: EntraFailureKind, hint?: string]

const portal = 'Entra admin center > App registrations > (this app)'

/** @see https://learn.microsoft.com/entra/identity-platform/reference-error-codes */
const rows: readonly Row[] = [
  // The login has ended.
  [[50173, 50132, 50133, 50089], 'invalid_grant'],
  [[54005, 501481, 70008, 700082, 70043], 'invalid_grant'],
  [
    [700084],
    'invalid_grant',
    `Refresh tokens of a "Single-page application" platform die after 24 hours: in ${portal} > Authentication, move the redirect URI to the platform "Web".`,
  ],

  // The user has to act.
  [[50076, 50079, 50074, 50078, 50158], 'interaction_required'],
  [[53000, 53001, 53002, 53003, 530032], 'interaction_required'],
  [
    [530084],
    'interaction_required',
    'A Conditional Access policy asks for token protection, which binds tokens to the user’s device and which no web server can meet: in Entra admin center > Conditional Access > Policies, leave this resource or its users out of that policy.',
  ],
  [
    [65001],
    'consent_required',
    `Nobody has consented to this access: in ${portal} > API permissions, add the permission and choose "Grant admin consent", or run \`az ad app permission admin-consent --id <client id>\`.`,
  ],

  // The user is not allowed.
  [[65004], 'access_denied'],
  [
    [50020, 16000],
    'access_denied',
    'The user belongs to another tenant: invite them as a guest, or register the app for accounts in any organization.',
  ],
  [
    [50105],
    'access_denied',
    'The user is not assigned to the app: assign them in Entra admin center > Enterprise applications > (this app) > Users and groups, or turn "Assignment required?" off under Properties.',
  ],
  [[50126, 50053, 50057], 'access_denied'],

  // On-behalf-of cannot use the token it was given.
  [[50013, 50027, 500133], 'invalid_assertion'],
  [
    [500131],
    'invalid_assertion',
    'The token given to on-behalf-of is for another application: its audience must be this client id. Check that clients ask for scopes of this app (not of Microsoft Graph) and that the Application ID URI is written in lower case.',
  ],
  [
    [7000114],
    'app_only',
    'On-behalf-of needs a user; the caller is an application. Let it call the downstream API with its own client credentials.',
  ],

  // Our request is wrong: a scope, a resource, a redirect URI.
  [
    [28000, 700022],
    'misconfigured',
    'The scopes of one token request name more than one resource. Put scopes of other APIs into `additional` of entraScopes.',
  ],
  [
    [28002, 70011],
    'misconfigured',
    'A scope is malformed, or `.default` stands beside named scopes of the same API: name either `.default` or the scopes.',
  ],
  [
    [28003, 900144],
    'misconfigured',
    'A required parameter, usually the scope, is empty: name at least one scope of the API.',
  ],
  [
    [50001, 500011],
    'misconfigured',
    `The API is unknown in this tenant: compare the scopes with the Application ID URI in ${portal} > Expose an API, and create its service principal with \`az ad sp create --id <API client id>\`.`,
  ],
  [
    [50011, 500113],
    'misconfigured',
    `The redirect URI is not registered: in ${portal} > Authentication, add {baseUrl}/auth/callback as a redirect URI of the platform "Web".`,
  ],
  [
    [65005, 650053, 650056, 650057],
    'misconfigured',
    `A scope does not exist on its API, or the app lacks the permission: compare with ${portal} > Expose an API, and add the downstream permissions in ${portal} > API permissions.`,
  ],
  [
    [700005],
    'misconfigured',
    'The code was issued for another tenant than the one it was redeemed at: use one tenantId for both.',
  ],
  [
    [700016],
    'misconfigured',
    `The app does not exist in this tenant: compare clientId and tenantId with ${portal} > Overview.`,
  ],
  [
    [82014],
    'misconfigured',
    "The app is an agent identity or a blueprint (Entra Agent ID), and those cannot sign people in: use mode: 'direct', or an ordinary app registration for the login.",
  ],
  [
    [90009],
    'misconfigured',
    'The app asked for a token for itself without a scope: name a scope of its own API, such as api://<client id>/<scope>.',
  ],
  [
    [901002, 9010010],
    'misconfigured',
    `A \`resource\` parameter reached Entra and is not an identifier URI of the app: send none, or add it to identifierUris in ${portal} > Manifest.`,
  ],

  // Our credential is wrong.
  [
    [7000215],
    'misconfigured',
    `The client secret is wrong; often the Secret ID was pasted. Create one in ${portal} > Certificates & secrets and copy the column "Value", or run \`az ad app credential reset --id <client id> --append\`.`,
  ],
  [
    [7000222],
    'misconfigured',
    `The client secret has expired: create a new one in ${portal} > Certificates & secrets, or run \`az ad app credential reset --id <client id> --append\`.`,
  ],
  [
    [7000218],
    'misconfigured',
    'The app is a confidential client and no credential was sent: set `credential` of entraAuth.',
  ],
  [
    [700025],
    'misconfigured',
    `The app is a public client: in ${portal} > Authentication, register the redirect URI under the platform "Web" and set "Allow public client flows" to No.`,
  ],
  [
    [700024],
    'misconfigured',
    'The client assertion is not valid at this time: make a new one for each request, and the clock of this machine must be right.',
  ],
  [
    [700027],
    'misconfigured',
    `The certificate is not registered: upload its public part in ${portal} > Certificates & secrets > Certificates.`,
  ],
  [
    [700211, 700212, 700213, 7002138],
    'misconfigured',
    `No federated credential matches the assertion: compare issuer, subject and audience (they are case-sensitive) with ${portal} > Certificates & secrets > Federated credentials.`,
  ],
  [
    [700222, 700229],
    'misconfigured',
    'For a federated credential, the only tokens of its own that Entra takes are app-only tokens of user-assigned managed identities. It takes none of an app registration.',
  ],
  [[5002741], 'misconfigured', 'The client assertion must have exactly one audience.'],
  [
    [9002325, 9002326, 9002327],
    'misconfigured',
    `The redirect URI is registered as "Single-page application": in ${portal} > Authentication, move it to the platform "Web".`,
  ],
  [
    [90002, 90038, 900439, 900432],
    'misconfigured',
    'The tenant does not exist on this authority, or belongs to a national cloud: check tenantId and authorityHost.',
  ],
  [
    [50194, 9001023],
    'misconfigured',
    'The app is not registered for more than one tenant: set tenantId to the Directory (tenant) ID.',
  ],

  // Not now.
  [[90055, 90006, 90024, 90033, 90090, 50033], 'unavailable'],
]

/** Seconds to wait after AADSTS50196, with which Entra answers the same request sent too often. */
const loopPause = 120

/** What an AADSTS number calls for. */
export const outcomeByCode: ReadonlyMap<number, Outcome> = new Map<number, Outcome>([
  ...rows.flatMap(([codes, kind, hint]) =>
    codes.map((code): [number, Outcome] => [code, hint === undefined ? { kind } : { kind, hint }]),
  ),
  [
    50196,
    {
      kind: 'unavailable',
      retryAfter: loopPause,
      hint: 'Entra received the same request too often and took it for a loop. Look for a client that retries without pause.',
    },
  ],
])

/** What a `suberror` calls for. */
export const outcomeBySuberror: ReadonlyMap<string, Outcome> = new Map<string, Outcome>([
  ['basic_action', { kind: 'interaction_required' }],
  ['additional_action', { kind: 'interaction_required' }],
  ['message_only', { kind: 'interaction_required' }],
  ['user_password_expired', { kind: 'interaction_required' }],
  ['bad_token', { kind: 'invalid_grant' }],
])

const unknownMisconfiguration: Outcome = {
  kind: 'misconfigured',
  hint: 'Entra does not accept the request as this server is set up. Look the AADSTS number up at https://login.microsoftonline.com/error.',
}

/** What an `error` calls for when nothing more exact is known. */
export const outcomeByError: ReadonlyMap<string, Outcome> = new Map<string, Outcome>([
  ['invalid_grant', { kind: 'invalid_grant' }],
  ['interaction_required', { kind: 'interaction_required' }],
  ['login_required', { kind: 'interaction_required' }],
  ['consent_required', { kind: 'consent_required' }],
  ['access_denied', { kind: 'access_denied' }],
  ['invalid_client', unknownMisconfiguration],
  ['unauthorized_client', unknownMisconfiguration],
  ['invalid_request', unknownMisconfiguration],
  ['invalid_scope', unknownMisconfiguration],
  ['invalid_resource', unknownMisconfiguration],
  ['invalid_target', unknownMisconfiguration],
  ['unsupported_grant_type', unknownMisconfiguration],
  ['unsupported_response_type', unknownMisconfiguration],
  // Everything else is unavailable: temporarily_unavailable, server_error, and unknown codes.
])
