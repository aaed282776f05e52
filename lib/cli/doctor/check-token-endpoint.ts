/** The token endpoint: never cached, and counting each sender for itself. */
import { type Finding, failure, ok, warning } from './finding.js'
import { look, type Sight } from './look.js'

export interface TokenEndpointSight {
  readonly findings: readonly Finding[]
  readonly notChecked: readonly string[]
}

type Answer = Exclude<Sight, { readonly trouble: string }>

/** Two requests that redeem nothing, each under an address that belongs to nobody (RFC 5737). */
export async function checkTokenEndpoint(endpoint: string): Promise<TokenEndpointSight> {
  const first = await ask(endpoint, '203.0.113.7')
  const second = await ask(endpoint, '203.0.113.8')
  if (first.trouble !== undefined || second.trouble !== undefined) {
    const says = first.trouble ?? second.trouble ?? ''
    return {
      findings: [failure('token endpoint', says, 'route it to this server')],
      notChecked: [],
    }
  }
  const senders = checkSenders(first, second)
  return {
    findings: [
      ...checkAnswer(endpoint, first),
      ...checkCaching(first, second),
      ...(senders ? [senders] : []),
    ],
    notChecked: senders ? [] : ['trust proxy: the server sends no RateLimit headers'],
  }
}

function ask(endpoint: string, sender: string): Promise<Sight> {
  return look(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-forwarded-for': sender },
    body: 'grant_type=authorization_code',
  })
}

/** @see RFC 6749 section 5.2 */
function checkAnswer(endpoint: string, { status, json, isHtml }: Answer): readonly Finding[] {
  const isError = status >= 400 && status < 500 && typeof json.error === 'string'
  if (isError) return [ok('token endpoint', endpoint)]
  const says = `${endpoint} answers HTTP ${status}${isHtml ? ' with a web page' : ''}, where an OAuth error is expected`
  return [
    failure(
      'token endpoint',
      says,
      'route it to this server: a firewall or web app in front answers in its place',
    ),
  ]
}

/** @see RFC 6749 section 5.1, RFC 9111 section 5.1 */
function checkCaching(first: Answer, second: Answer): readonly Finding[] {
  const remedy =
    'caching must be off for everything of this server but /.well-known/ and /jwks: keep its Cache-Control'
  const answers = [first, second]
  if (
    answers.some(
      ({ headers }) =>
        headers.age !== undefined ||
        /\bhit\b/i.test(headers['x-cache'] ?? headers['cf-cache-status'] ?? ''),
    )
  ) {
    return [
      failure(
        'caching',
        'a cache answers for the token endpoint: users could get tokens of others',
        remedy,
      ),
    ]
  }
  if (answers.some(({ headers }) => !/\bno-store\b/i.test(headers['cache-control'] ?? ''))) {
    return [
      failure('caching', 'answers of the token endpoint have lost Cache-Control: no-store', remedy),
    ]
  }
  return [ok('caching', 'the token endpoint is not cached')]
}

/** Whether senders are told apart, as far as the headers of rate limits show. */
function checkSenders(first: Answer, second: Answer): Finding | undefined {
  const [before, after] = [rateLimit(first), rateLimit(second)]
  if (!before || !after) return undefined
  if (after.remaining >= before.remaining) {
    return failure(
      'trust proxy',
      'the server believes any X-Forwarded-For: whoever sends one has a rate limit of his own',
      "never app.set('trust proxy', true): name the addresses of your proxy",
    )
  }
  const others = before.limit - before.remaining - 1
  if (others > 0) {
    return warning(
      'trust proxy',
      `${others} requests of this minute were counted before ours: perhaps all senders share one limit`,
      "behind a proxy: app.set('trust proxy', …) with its addresses; ignore it when you have just run doctor from here",
    )
  }
  return ok('trust proxy', 'a made-up sender is not believed')
}

/** @see https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers */
function rateLimit({
  headers,
}: Answer): { readonly limit: number; readonly remaining: number } | undefined {
  const { ratelimit = '', 'ratelimit-policy': policy = '' } = headers
  const limit =
    headers['ratelimit-limit'] ??
    headers['x-ratelimit-limit'] ??
    /\blimit=(\d+)/.exec(ratelimit)?.[1] ??
    /\bq=(\d+)/.exec(policy)?.[1]
  const remaining =
    headers['ratelimit-remaining'] ??
    headers['x-ratelimit-remaining'] ??
    /\b(?:remaining|r)=(\d+)/.exec(ratelimit)?.[1]
  if (limit === undefined || remaining === undefined) return undefined
  return { limit: Number.parseInt(limit, 10), remaining: Number.parseInt(remaining, 10) }
}
