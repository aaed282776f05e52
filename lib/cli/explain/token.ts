/** Tokens: who, for whom, until when, and why our gate would say yes or no. */
import { type DecodedJwt, decodeJwt } from '../../crypto/decode-jwt.js'
import { type KeyRing, keyRing } from '../../crypto/key-ring.js'
import { type EntraAuthority, entraAuthority, isGuid } from '../../entra/authority.js'
import { type CallerKind, callerFromClaims, isAppOnly } from '../../entra/caller-claims.js'
import { type EntraClaims, entraVerifier } from '../../entra/verify.js'
import { assertionAlgorithms } from '../../oauth/client-keys.js'
import { OAuthError } from '../../oauth/errors.js'
import { assertionRefusal, idJagResources, isIdJag } from '../../oauth/id-jag.js'
import { findResource, type Resource } from '../../oauth/resource.js'
import { accessTokens } from '../../tokens/access-token.js'
import { checkUnverified } from '../../tokens/identity-assertions.js'
import { knownClients } from '../setup/known-ids.js'
import { UsageError } from '../usage-error.js'
import type { Explanation, Fact, Gate } from './explanation.js'
import { explainProof } from './proof.js'

/** What is known of the server that the token is for. */
export interface TokenContext {
  readonly tenantId: string | undefined
  readonly clientId: string | undefined
  readonly authorityHost: string | undefined
  readonly baseUrl: string | undefined
  readonly resource: string
  /** The server's keys, with commas. */
  readonly keys: string | undefined
  now(): number
}

type Claims = DecodedJwt['claims']

/** The token in a text, which may have the words of an `Authorization` or `DPoP` header in front. */
export function tokenIn(text: string): string | undefined {
  const [, token] =
    /^(?:authorization\s*:\s*|dpop\s*:\s*)?(?:(?:bearer|dpop)\s+)?([\w-]+\.[\w-]+\.[\w-]*)$/i.exec(
      text,
    ) ?? []
  return token
}

/** @throws UsageError for three parts that are no JWT */
export async function explainToken(token: string, context: TokenContext): Promise<Explanation> {
  const jwt = decodeJwt(token)
  if (!jwt) throw new UsageError('explain: this looks like a JWT and is none: was it cut?')
  if (jwt.header.typ === 'at+jwt') return explainOurs(jwt, context)
  if (isIdJag(jwt)) return explainAssertion(jwt, context)
  if (jwt.header.typ === 'dpop+jwt') return explainProof(jwt, context)
  const { iss } = jwt.claims
  if (typeof iss !== 'string' || jwt.claims.tid === undefined) return explainForeign(jwt, context)
  return explainEntras(jwt, context)
}

/** Who calls, in words. */
const callerWords: Readonly<Record<CallerKind, string>> = {
  user: '{user}',
  'agent-for-user': '{user}, through an agent that acts for them',
  agent: 'an agent on its own, without a user',
  'agent-user': 'the user account of an agent ({user}), with no person behind it',
  app: 'an application without a user',
}

async function explainEntras(jwt: DecodedJwt, context: TokenContext): Promise<Explanation> {
  const { claims } = jwt
  const gate = await judgeEntras(jwt, context)
  const user = text(
    claims.preferred_username ?? claims.name ?? claims.oid ?? 'a user without a name',
  )
  const who = callerWords[callerFromClaims(claims as EntraClaims).kind].replace('{user}', user)
  return {
    kind: 'entra-access-token',
    summary: `A token of Microsoft Entra ID, for ${who}, ${lifetime(claims, context.now())}.`,
    facts: [
      ...factsOf({ ...claims, azp: withName(claims.azp), appid: withName(claims.appid) }, [
        ['name', 'name'],
        ['preferred_username', 'user name'],
        ['oid', 'object id'],
        ['tid', 'tenant'],
        ['aud', 'for (aud)'],
        ['azp', 'asked for by (azp)'],
        ['xms_par_app_azp', 'blueprint of that agent (xms_par_app_azp)'],
        ['idtyp', 'type of the subject (idtyp)'],
        ['xms_act_fct', 'facets of the actor (xms_act_fct)'],
        ['xms_sub_fct', 'facets of the subject (xms_sub_fct)'],
        ['appid', 'asked for by (appid)'],
        ['scp', 'scopes (scp)'],
        ['roles', 'roles'],
        ['cnf', 'bound (cnf)'],
        ['ver', 'version'],
        ['iss', 'issuer'],
      ]),
      ...times(claims, context.now()),
    ],
    gate,
    remedies: remediesOf(gate),
  }
}

/**
 * The verifier's own rules. Its keys are at Entra, which is not asked: a token that gets as far as its key has passed
 * everything but the signature.
 */
async function judgeEntras(jwt: DecodedJwt, context: TokenContext): Promise<Gate> {
  const { aud, tid } = jwt.claims
  const clientId = context.clientId ?? (isGuid(aud) ? aud : undefined)
  if (clientId === undefined) {
    return unknown('Whether it is for your server: say --client-id, or set AZURE_CLIENT_ID.')
  }
  const authority = authorityOf(context, tid)
  let isSound = false
  const verifier = entraVerifier({
    authority,
    clientId,
    ...(authority.multiTenant && { allowedTenants: 'any' as const }),
    keys: {
      find: async () => {
        isSound = true
        return undefined
      },
    },
    now: context.now,
  })
  const refusal = await reasonOf(verifier.accessToken(jwt))
  if (!isSound) return { admits: 'no', because: [refusal] }
  const stranger = strangerOf(jwt.claims, authority)
  if (stranger !== undefined) return { admits: 'no', because: [stranger] }
  if (lacksRole(jwt.claims)) {
    return {
      admits: 'no',
      because: ['It has no app role: an app or an agent on its own needs one (403 access_denied).'],
    }
  }
  if (jwt.claims.cnf !== undefined) {
    return {
      admits: 'no',
      because: ['It is bound (token protection, cnf): no gate takes it as Bearer.'],
    }
  }
  return unknown(
    'Times, audience, version, kind and issuer are good. Its signature is not checked here: that takes Entra’s keys.',
    ...(context.clientId === undefined
      ? ['Whether it is for your server: say --client-id, or set AZURE_CLIENT_ID.']
      : []),
    'The scopes that each tool needs are scopeGuard’s to check.',
  )
}

/** Entra issues tokens to any app of the tenant: without a role it was given nothing. */
function lacksRole(claims: Claims): boolean {
  const { roles } = claims
  return isAppOnly(claims) && !(Array.isArray(roles) && roles.length > 0)
}

function authorityOf({ tenantId, authorityHost }: TokenContext, tid: unknown): EntraAuthority {
  try {
    return entraAuthority({ tenantId: tenantId ?? text(tid), host: authorityHost })
  } catch (error) {
    throw new UsageError((error as Error).message.replace('entraAuth: ', 'explain: '))
  }
}

/** Of the verifier's last step, what can be told without the key. */
function strangerOf({ iss, tid }: Claims, authority: EntraAuthority): string | undefined {
  const expected = authority.issuerFor(text(tid))
  if (!authority.discoversIssuer && iss !== expected) return `The issuer is not ${expected}.`
  if (authority.multiTenant || !isGuid(authority.tenantId)) return undefined
  if (text(tid).toLowerCase() === authority.tenantId) return undefined
  return `The user belongs to another tenant than ${authority.tenantId}.`
}

async function explainOurs(jwt: DecodedJwt, context: TokenContext): Promise<Explanation> {
  const { claims } = jwt
  const gate = await judgeOurs(jwt, context)
  return {
    kind: 'server-access-token',
    summary: `An access token that an mcp-entra server issued itself, ${lifetime(claims, context.now())}. It names no person: only the server can open the login behind it.`,
    facts: [
      ...factsOf(claims, [
        ['iss', 'issued by'],
        ['aud', 'for (aud)'],
        ['scope', 'scopes'],
        ['cnf', 'bound to a key (cnf)'],
      ]),
      ['client', clientText(claims.client_id)],
      ...times(claims, context.now()),
    ],
    gate,
    remedies: remediesOf(gate),
  }
}

/** A client id of ours is its sealed registration: long, and nothing for a person. */
function clientText(id: unknown): string {
  const name = text(id)
  return name.length > 100 ? 'registered itself at the server (its id is sealed)' : name
}

async function judgeOurs(jwt: DecodedJwt, context: TokenContext): Promise<Gate> {
  const { baseUrl, resource } = context
  if (baseUrl === undefined)
    return unknown('Whether it is of your server: say --base-url, or set BASE_URL.')
  const ring = readRing(context.keys)
  if (ring) {
    const tokens = accessTokens(baseUrl, ring, Number.MAX_SAFE_INTEGER, context.now)
    const verdict = await reasonOf(tokens.verify(jwt, baseUrl + resource))
    if (verdict !== '') return { admits: 'no', because: [verdict] }
    return unknown(
      'Its signature is good. Whether its login was revoked, only the server knows.',
      ...boundWords(jwt.claims),
    )
  }
  const { iss, aud, exp } = jwt.claims
  const because = [
    ...(iss === baseUrl ? [] : [`It was issued by ${text(iss)}, not by ${baseUrl}.`]),
    ...(aud === baseUrl + resource
      ? []
      : [`It is for ${text(aud)}, not for ${baseUrl + resource}.`]),
    ...(Number(exp) * 1000 > context.now() ? [] : ['It has expired.']),
  ]
  if (because.length > 0) return { admits: 'no', because }
  return unknown(
    'Issuer, audience and time are good. With MCP_ENTRA_KEYS in the environment its signature is checked, too.',
    ...boundWords(jwt.claims),
  )
}

/** @see RFC 9449 section 7.1 */
function boundWords({ cnf }: Claims): readonly string[] {
  if (cnf === undefined) return []
  return [
    'It is bound to a key (cnf): it has to come as DPoP with a proof of that key, never as Bearer.',
  ]
}

function readRing(keys: string | undefined): KeyRing | undefined {
  try {
    return keys ? keyRing(keys.split(',')) : undefined
  } catch (error) {
    throw new UsageError((error as Error).message.replace('entraAuth: ', 'MCP_ENTRA_KEYS: '))
  }
}

/** It opens no gate: its client brings it to the token endpoint. */
async function explainAssertion(jwt: DecodedJwt, context: TokenContext): Promise<Explanation> {
  const { claims } = jwt
  const refusal = await reasonOf(judgeAssertion(jwt, context))
  return {
    kind: 'identity-assertion',
    summary: `An identity assertion (ID-JAG): the word of an identity provider that its user may use a client, ${lifetime(claims, context.now())}.`,
    facts: [
      ...factsOf(claims, [
        ['iss', 'identity provider'],
        ['sub', 'user there (sub)'],
        ['tid', 'tenant (tid)'],
        ['oid', 'object id (oid)'],
        ['aud', 'for (aud)'],
        ['resource', 'resource'],
        ['scope', 'scopes'],
      ]),
      ['client', clientText(claims.client_id)],
      ...times(claims, context.now()),
    ],
    gate: {
      admits: 'no',
      because: [
        'It is for the token endpoint, once: grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer.',
        refusal === ''
          ? `The token endpoint: type, times, audience and jti are good. Issuer, ${claims.cnf === undefined ? 'signature' : 'signature, DPoP proof (cnf)'} and user are for the server to check.`
          : `The token endpoint: ${refusal}`,
      ],
    },
    remedies: [
      'The server has to trust its issuer: the option identityAssertions, or MCP_ENTRA_IDENTITY_ASSERTIONS.',
    ],
  }
}

async function judgeAssertion(
  jwt: DecodedJwt,
  { baseUrl, resource, now }: TokenContext,
): Promise<void> {
  const { aud, client_id } = jwt.claims
  checkUnverified(jwt, {
    algorithms: assertionAlgorithms,
    baseUrl: baseUrl ?? text([aud].flat()[0]),
    clientId: client_id as string,
    now,
  })
  if (baseUrl === undefined) return
  const ours = { path: resource, url: baseUrl + resource.replace(/^\/$/, ''), metadataUrl: '' }
  for (const named of idJagResources(jwt.claims)) checkResource(ours, named)
}

function checkResource(ours: Resource, named: string): void {
  try {
    findResource({ resources: [ours] }, named)
  } catch (error) {
    const why = `names the resource ${text(named)}, not ${ours.url}: say --resource if that is another of yours`
    throw assertionRefusal(why, error)
  }
}

function explainForeign({ claims }: DecodedJwt, context: TokenContext): Explanation {
  return {
    kind: 'unknown-token',
    summary: `A JWT, but neither of Microsoft Entra ID nor of an mcp-entra server, ${lifetime(claims, context.now())}.`,
    facts: [
      ...factsOf(claims, [
        ['iss', 'issuer'],
        ['aud', 'for (aud)'],
      ]),
      ...times(claims, context.now()),
    ],
    gate: { admits: 'no', because: ['It is of another issuer.'] },
    remedies: ['The client has to log in at this server: the 401 says where.'],
  }
}

/** @returns the refusal in words; empty when there was none */
async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work
    return ''
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    return error.description
  }
}

const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /version 1\.0/,
    'Entra admin center > App registrations > (this app) > Manifest: set "requestedAccessTokenVersion" to 2 inside "api", or: az rest --method PATCH --url "https://graph.microsoft.com/v1.0/applications(appId=\'<client id>\')" --body \'{"api":{"requestedAccessTokenVersion":2}}\'',
  ],
  [/Microsoft Graph/, 'The client asks for a scope of this server: api://<client id>/<scope>.'],
  [
    /another application/,
    'Compare the audience with AZURE_CLIENT_ID: the client asked for a scope of another API.',
  ],
  [
    /expired/,
    'The client refreshes. If the token is new, compare the clocks of this machine and of Entra.',
  ],
  [
    /token protection/,
    'The client asks Entra for a token that is not bound: without a broker, or with one that is told so.',
  ],
  [
    /no app role/,
    'Entra admin center > Enterprise applications > (this app) > Users and groups: assign an app role to it. Or: npx mcp-entra setup --app-role … --agent <its client id>.',
  ],
  [
    /is a user or an agent/,
    'idtyp and xms_sub_fct of the token contradict each other: it is not for the server to say who calls.',
  ],
  [/not valid yet/, 'Compare the clocks: this machine is behind.'],
  [/grants no scope/, 'Send an access token for a scope of this server, not an id token.'],
  [
    /another tenant/,
    'Invite the user as a guest, or set tenantId to organizations and list allowedTenants.',
  ],
  [/issued by/, 'The client has to log in at this server, or BASE_URL is not what clients use.'],
  [
    /not one of this server/,
    'Its key is not in MCP_ENTRA_KEYS: keep the old key at the end of the list.',
  ],
]

function remediesOf({ because }: Gate): readonly string[] {
  return remedies
    .filter(([pattern]) => because.some((line) => pattern.test(line)))
    .map(([, remedy]) => remedy)
}

function unknown(...because: readonly string[]): Gate {
  return { admits: 'unknown', because }
}

function factsOf(
  claims: Claims,
  shown: readonly (readonly [claim: string, name: string])[],
): readonly Fact[] {
  return shown.flatMap(([claim, name]): Fact[] =>
    claims[claim] === undefined ? [] : [[name, text(claims[claim])]],
  )
}

/** Clients of Microsoft's have the same id everywhere. */
function withName(clientId: unknown): unknown {
  const [name] = [...knownClients].find(([, { id }]) => id === clientId) ?? []
  return name === undefined ? clientId : `${clientId} (${name})`
}

/** Longest value shown, in characters. */
const longest = 300

function text(value: unknown): string {
  const written = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return written.length > longest ? `${written.slice(0, longest)}…` : written
}

function times({ iat, nbf, exp }: Claims, now: number): readonly Fact[] {
  return [
    ['issued', iat],
    ['good from', nbf],
    ['good until', exp],
  ].flatMap(([name, value]): Fact[] => {
    const at = date(value)
    return at === undefined
      ? []
      : [[String(name), `${at.toISOString()} (${distance(at.getTime() - now)})`]]
  })
}

function date(seconds: unknown): Date | undefined {
  const at = new Date(Number(seconds) * 1000)
  return typeof seconds === 'number' && !Number.isNaN(at.getTime()) ? at : undefined
}

function lifetime({ exp }: Claims, now: number): string {
  const at = date(exp)
  if (!at) return 'without an expiry'
  return at.getTime() > now
    ? `good for another ${span(at.getTime() - now)}`
    : `expired ${span(now - at.getTime())} ago`
}

function distance(milliseconds: number): string {
  return milliseconds > 0 ? `in ${span(milliseconds)}` : `${span(-milliseconds)} ago`
}

function span(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000)
  if (seconds < 120) return `${seconds} seconds`
  if (seconds < 7200) return `${Math.round(seconds / 60)} minutes`
  return seconds < 172_800
    ? `${Math.round(seconds / 3600)} hours`
    : `${Math.round(seconds / 86_400)} days`
}
