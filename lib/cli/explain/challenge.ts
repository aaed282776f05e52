/** `WWW-Authenticate` headers: what a server wants of its client. */
import type { Explanation, Fact } from './explanation.js'

type Params = ReadonlyMap<string, string>

/** Whether it reads like a challenge, with or without the header's name in front. */
export function isChallenge(text: string): boolean {
  return /^(?:www-authenticate\s*:\s*)?(?:bearer|dpop)(?:\s*$|\s+[a-z_]+\s*=)/i.test(text)
}

/** @see RFC 6750 section 3, RFC 9449 section 7.1, RFC 9728 section 5.1 */
export function explainChallenge(text: string): Explanation {
  const params = readParams(text)
  const error = params.get('error')
  const { summary, remedies } = meaningOf(error, params)
  return { kind: 'challenge', summary, facts: factsOf(params), remedies }
}

/** @see RFC 9110 section 11.2 */
export function readParams(text: string): Params {
  const pairs = text.matchAll(/([a-z][a-z0-9_-]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/gi)
  return new Map(
    [...pairs].map(([, name = '', quoted, bare = '']) => [
      name.toLowerCase(),
      quoted?.replace(/\\(.)/g, '$1') ?? bare,
    ]),
  )
}

function meaningOf(
  error: string | undefined,
  params: Params,
): Pick<Explanation, 'summary' | 'remedies'> {
  const scope = params.get('scope')
  switch (error) {
    case undefined:
      return {
        summary: 'The request had no token: this is how a client learns where to log in.',
        remedies: params.has('resource_metadata')
          ? []
          : ['There is no resource_metadata: clients cannot find the authorization server.'],
      }
    case 'invalid_token':
      return {
        summary:
          'The token is not good: expired, revoked, of another server, or not signed by Entra.',
        remedies: [
          'The client refreshes, or logs in again. If it keeps happening, explain the token: mcp-entra explain -',
        ],
      }
    case 'insufficient_scope':
      return {
        summary: `The token is good, but the operation needs ${scope ? `the scopes ${scope}` : 'more scopes'}.`,
        remedies: ['The client logs in again and asks for these scopes (step-up).'],
      }
    case 'insufficient_claims':
      return {
        summary: 'Entra wants more of the user before it gives a token for a downstream API.',
        remedies: ['The user signs in again: the challenge goes to Entra with that login.'],
      }
    case 'use_dpop_nonce':
      return {
        summary:
          'The proof needs a nonce of the server (use_dpop_nonce): the header DPoP-Nonce has it.',
        remedies: ['The client signs a new proof with that nonce and asks again.'],
      }
    case 'invalid_dpop_proof':
      return {
        summary: 'The token may be good, but its DPoP proof is not, or there is none.',
        remedies: [
          'Explain the proof: mcp-entra explain -. It is for one request: its method, its URL as in BASE_URL, its token, once, within five minutes.',
        ],
      }
    default:
      return { summary: `The server refuses the request: ${error}.`, remedies: [] }
  }
}

function factsOf(params: Params): readonly Fact[] {
  const known: readonly (readonly [string, string])[] = [
    ['error', 'error'],
    ['error_description', 'in words'],
    ['scope', 'scopes'],
    ['resource_metadata', 'where to read on'],
    ['authorization_uri', 'where to log in'],
    ['algs', 'DPoP proofs are signed with'],
  ]
  const claims = params.get('claims')
  return [
    ...known.flatMap(([name, shown]): Fact[] => {
      const value = params.get(name)
      return value === undefined ? [] : [[shown, value]]
    }),
    ...(claims === undefined ? [] : [['claims', decodeClaims(claims)] as const]),
  ]
}

/** The base64 of a claims request. @see https://learn.microsoft.com/entra/identity-platform/claims-challenge */
function decodeClaims(value: string): string {
  try {
    return JSON.stringify(JSON.parse(Buffer.from(value, 'base64').toString('utf8')))
  } catch {
    return 'not readable: it should be base64 of JSON'
  }
}
