/** `mcp-entra doctor URL` finds what is planted in a running server, and in what stands in front of it. */
import type {
  IncomingMessage,
  OutgoingHttpHeaders,
  RequestListener,
  ServerResponse,
} from 'node:http'
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals'
import express from 'express'
import { rateLimit } from 'express-rate-limit'
import { entraAuth, oauthRoutes, requireBearer, resourceMetadata } from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import type { Diagnosis, Finding } from '../../../lib/cli/doctor/finding.js'
import { authOptions } from '../../support/auth-options.js'
import { type CliOptions, cli } from '../../support/cli.js'
import { type Entra, type Listening, listen } from '../../support/host.js'

let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterAll(() => entra.close())

let servers: Listening[] = []
afterEach(async () => {
  await Promise.all(servers.map(({ close }) => close()))
  servers = []
})

async function start(handler: (url: string) => RequestListener): Promise<string> {
  const server = await listen(handler)
  servers.push(server)
  return server.url
}

/** The server itself, below a path if there is one. */
function app(url: string, path = '', options: Parameters<typeof authOptions>[3] = {}) {
  const auth = entraAuth(authOptions(entra, url + path, [], options))
  const server = express()
  server.use(oauthRoutes(auth))
  server.all(`${path}/mcp`, requireBearer(auth), (_req, res) => void res.json({}))
  return server
}

/** Lets something in front of the server change its answers. */
function changing(
  server: RequestListener,
  change: (req: IncomingMessage, headers: OutgoingHttpHeaders, res: ServerResponse) => void,
): RequestListener {
  return (req, res) => {
    const writeHead = res.writeHead.bind(res)
    res.writeHead = ((status: number) => {
      change(req, res.getHeaders(), res)
      return writeHead(status)
    }) as typeof res.writeHead
    server(req, res)
  }
}

/** Lets something in front of the server answer some documents itself. */
function replacing(
  server: RequestListener,
  documents: Readonly<Record<string, unknown>>,
): RequestListener {
  return (req, res) => {
    const document = documents[(req.url ?? '').split('?', 1)[0] ?? '']
    if (document === undefined) return server(req, res)
    const isText = typeof document === 'string'
    res.setHeader('access-control-allow-origin', '*')
    res.setHeader('content-type', isText ? 'text/html' : 'application/json')
    res.end(isText ? document : JSON.stringify(document))
  }
}

interface Result {
  readonly code: number
  readonly findings: readonly Finding[]
  readonly troubles: readonly Finding[]
  readonly failures: readonly string[]
  readonly notChecked: readonly string[]
}

async function doctor(url: string, now = Date.now, env: CliOptions['env'] = {}): Promise<Result> {
  const { code, out } = await cli(['doctor', '--json', url], { now, env })
  const { findings, notChecked } = JSON.parse(out) as Diagnosis
  const troubles = findings.filter(({ status }) => status !== 'ok')
  const failures = troubles.filter(({ status }) => status === 'failure')
  return { code, findings, troubles, failures: failures.map(({ check }) => check), notChecked }
}

/** The one trouble that there is. */
async function troubleOf(url: string): Promise<Finding> {
  const { troubles, code } = await doctor(url)
  expect(troubles).toHaveLength(1)
  expect(code).toBe(1)
  return troubles[0] as Finding
}

const pathMetadata = '/.well-known/oauth-protected-resource/mcp'
const rootMetadata = '/.well-known/oauth-protected-resource'
const serverMetadata = '/.well-known/oauth-authorization-server'

describe('doctor, of a good server', () => {
  it('finds nothing, at the root and below a path', async () => {
    const root = await doctor(`${await start((url) => app(url))}/mcp`)
    expect(root.troubles).toEqual([])
    expect(root.code).toBe(0)
    expect(root.notChecked.join('\n')).toMatch(/trust proxy: the server sends no RateLimit headers/)
    const below = await doctor(`${await start((url) => app(url, '/notes'))}/notes/mcp`)
    expect(below.troubles).toEqual([])
  })

  it.each([
    ['off', []],
    ['allowed', [expect.stringMatching(/^allowed: .*ES256, EdDSA, RS256/)]],
    ['required', [expect.stringMatching(/^required: clients without DPoP cannot come in/)]],
  ] as const)('says who can come in where DPoP is %s', async (dpop, says) => {
    const url = await start((url) => app(url, '', { dpop }))
    const { findings, code } = await doctor(`${url}/mcp`)
    expect(code).toBe(0)
    expect(findings.filter(({ check }) => check === 'dpop').map((each) => each.says)).toEqual(says)
  })

  it('warns in direct mode that clients need ids of their own', async () => {
    const url = await start((url) => {
      const { keys: _keys, ...options } = authOptions(entra, url, [])
      const auth = entraAuth(options)
      const server = express()
      server.use(resourceMetadata(auth))
      server.all('/mcp', requireBearer(auth), (_req, res) => void res.json({}))
      return server
    })
    const { code, troubles } = await doctor(`${url}/mcp`, Date.now, {
      AZURE_AUTHORITY_HOST: entra.url,
    })
    expect(code).toBe(0)
    expect(troubles).toMatchObject([{ check: 'clients', status: 'warning' }])
    const { out } = await cli(['doctor', `${url}/mcp`], {
      env: { AZURE_AUTHORITY_HOST: entra.url },
    })
    expect(out).toContain(`not checked: whether ${url}/mcp is an Application ID URI`)
  })
})

describe('doctor finds', () => {
  it('a CDN that strips WWW-Authenticate', async () => {
    const url = await start((url) =>
      changing(app(url), (_req, _headers, res) => res.removeHeader('www-authenticate')),
    )
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'challenge',
      says: expect.stringMatching(/401 without WWW-Authenticate/),
      remedy: expect.stringMatching(/CDN strips the header/),
    })
  })

  it('a CDN that caches /token', async () => {
    const url = await start((url) =>
      changing(app(url), (req, _headers, res) => {
        if (req.url === '/token') res.setHeader('age', '12')
      }),
    )
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'caching',
      says: expect.stringMatching(/a cache answers/),
    })
  })

  it('a proxy that takes no-store from /token', async () => {
    const url = await start((url) =>
      changing(app(url), (req, _headers, res) => {
        if (req.url === '/token') res.setHeader('cache-control', 'max-age=60')
      }),
    )
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'caching',
      says: expect.stringMatching(/no-store/),
    })
  })

  it('a proxy in front that does not know the page for users in the middle of a tool call', async () => {
    const url = await start((url) => replacing(app(url), { '/auth/interaction': '<p>Not here' }))
    const { code, troubles } = await doctor(`${url}/mcp`)
    expect(code).toBe(0)
    expect(troubles).toMatchObject([
      {
        check: 'interaction',
        status: 'warning',
        says: expect.stringMatching(/auth\/interaction answers HTTP 200/),
      },
    ])
  })

  it('an issuer with a slash at its end', async () => {
    const url = await start((url) =>
      replacing(app(url), {
        [serverMetadata]: {
          issuer: `${url}/`,
          authorization_endpoint: `${url}/authorize`,
          token_endpoint: `${url}/token`,
          jwks_uri: `${url}/jwks`,
          code_challenge_methods_supported: ['S256'],
        },
      }),
    )
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'issuer',
      says: expect.stringMatching(/differ in the slash at the end/),
      remedy: expect.stringMatching(/baseUrl without a slash/),
    })
  })

  it('resource metadata that names another issuer, and does not go there', async () => {
    let asked = 0
    const other = await start(() => (_req, res) => {
      asked += 1
      res.end('{}')
    })
    const documents = (url: string) => {
      const document = { resource: `${url}/mcp`, authorization_servers: [other] }
      return { [pathMetadata]: document, [rootMetadata]: document }
    }
    const url = await start((url) => replacing(app(url), documents(url)))
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'issuer',
      says: expect.stringContaining(`sends clients to ${other}, which is neither`),
    })
    expect(asked).toBe(0)
  })

  it('a URL that is not the one the metadata is about', async () => {
    const url = await start((url) => app(url))
    const { failures, findings } = await doctor(`${url.replace('localhost', '127.0.0.1')}/mcp`)
    expect(failures).toContain('resource')
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'resource',
        remedy: expect.stringContaining(`let users type ${url}/mcp`),
      }),
    )
  })

  it('an endpoint path that resources do not hold', async () => {
    const url = await start((url) => {
      const auth = entraAuth(authOptions(entra, url, []))
      const server = express()
      server.use(oauthRoutes(auth))
      server.all('/api/mcp', requireBearer(auth), (_req, res) => void res.json({}))
      return server
    })
    const { failures } = await doctor(`${url}/api/mcp`)
    expect(failures).toEqual(expect.arrayContaining(['resource metadata', 'resource']))
  })

  it('discovery documents below a prefix, where the proxy has put them', async () => {
    const url = await start((url) => {
      const inner = app(url, '/notes')
      // Only /notes/ is routed to the server, so nothing of the host's own /.well-known/ reaches it.
      return (req, res) => {
        const path = req.url ?? ''
        if (!path.startsWith('/notes/')) return void res.writeHead(404).end()
        if (path.startsWith('/notes/.well-known/')) req.url = path.slice('/notes'.length)
        inner(req, res)
      }
    })
    const { failures, findings } = await doctor(`${url}/notes/mcp`)
    expect(failures).toContain('resource metadata')
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'resource metadata',
        says: expect.stringContaining(
          `it is at ${url}/notes/.well-known/oauth-protected-resource/notes/mcp`,
        ),
        remedy: expect.stringMatching(/at the root of the host/),
      }),
    )
  })

  it('a web app that answers for the discovery documents', async () => {
    const page = '<!doctype html><title>App</title>'
    const url = await start((url) =>
      replacing(app(url), { [pathMetadata]: page, [rootMetadata]: page, [serverMetadata]: page }),
    )
    const { failures, findings } = await doctor(`${url}/mcp`)
    expect(failures).toEqual(['resource metadata'])
    expect(findings).toContainEqual(
      expect.objectContaining({ says: expect.stringMatching(/is a web page/) }),
    )
  })

  it('server metadata that is missing', async () => {
    const url = await start((url) => replacing(app(url), { [serverMetadata]: '<html>' }))
    const { failures } = await doctor(`${url}/mcp`)
    expect(failures).toEqual(['server metadata'])
  })

  it('`trust proxy: true`, with which a sender gives itself any address', async () => {
    const url = await start((url) => {
      const server = express().set('trust proxy', true)
      server.use(
        '/token',
        rateLimit({
          windowMs: 60_000,
          limit: 100,
          standardHeaders: 'draft-7',
          legacyHeaders: false,
          validate: false,
        }),
      )
      return server.use(app(url))
    })
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'trust proxy',
      says: expect.stringMatching(/believes any X-Forwarded-For/),
      remedy: expect.stringMatching(/never app\.set\('trust proxy', true\)/),
    })
  })

  it.each(['draft-6', 'draft-7', 'draft-8'] as const)(
    'that `trust proxy` is missing, when others share the limit (%s)',
    async (standardHeaders) => {
      const url = await start((url) => {
        const server = express()
        server.use(
          '/token',
          rateLimit({
            windowMs: 60_000,
            limit: 100,
            standardHeaders,
            legacyHeaders: false,
            validate: false,
          }),
        )
        return server.use(app(url))
      })
      expect((await doctor(`${url}/mcp`)).findings).toContainEqual({
        check: 'trust proxy',
        status: 'ok',
        says: 'a made-up sender is not believed',
      })
      for (const sender of ['198.51.100.1', '198.51.100.2', '198.51.100.3']) {
        await fetch(`${url}/token`, { method: 'POST', headers: { 'x-forwarded-for': sender } })
      }
      const { code, troubles } = await doctor(`${url}/mcp`)
      expect(code).toBe(0)
      expect(troubles).toMatchObject([
        {
          check: 'trust proxy',
          status: 'warning',
          says: expect.stringMatching(/^5 requests .* share one limit/),
        },
      ])
    },
  )

  it('that `trust proxy` is missing, when the server redirects to itself', async () => {
    const url = await start((url) => {
      const server = express()
      server.use((req, res, next) =>
        req.secure ? next() : res.redirect(308, `https://${req.headers.host}${req.url}`),
      )
      return server.use(app(url))
    })
    const { failures, findings } = await doctor(`${url}/mcp`)
    expect(failures).toContain('trust proxy')
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'trust proxy',
        says: expect.stringMatching(/takes requests for http/),
      }),
    )
  })

  it('an endpoint that is open to everybody', async () => {
    const url = await start((url) => {
      const server = express()
      server.all('/mcp', (_req, res) => void res.json({}))
      return server.use(app(url))
    })
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'gate',
      says: expect.stringMatching(/open to everybody/),
    })
  })

  it('a URL without the path of the endpoint', async () => {
    const url = await start((url) => app(url))
    expect((await doctor(url)).failures).toContain('gate')
  })

  it('CORS headers that hide the challenge', async () => {
    const url = await start((url) =>
      changing(app(url), (_req, _headers, res) =>
        res.setHeader('access-control-expose-headers', 'Mcp-Session-Id'),
      ),
    )
    const { code, troubles } = await doctor(`${url}/mcp`)
    expect(code).toBe(0)
    expect(troubles).toMatchObject([{ check: 'cors', status: 'warning' }])
  })

  it('a proxy that strips the CORS headers of the documents', async () => {
    const url = await start((url) =>
      changing(app(url), (req, _headers, res) => {
        if (req.url?.startsWith('/.well-known/')) res.removeHeader('access-control-allow-origin')
      }),
    )
    expect((await doctor(`${url}/mcp`)).troubles).toMatchObject([
      { check: 'cors', status: 'warning' },
    ])
  })

  it('a server below a path whose host keeps /.well-known/ to itself', async () => {
    const url = await start((url) => {
      const inner = app(url, '/notes')
      return (req, res) =>
        req.url === serverMetadata || req.url === rootMetadata
          ? void res.writeHead(404).end()
          : inner(req, res)
    })
    const { code, troubles } = await doctor(`${url}/notes/mcp`)
    expect(code).toBe(0)
    expect(troubles.map(({ check }) => check)).toEqual(['resource metadata', 'server metadata'])
  })

  it('a base URL that is another host than clients use', async () => {
    const url = await start(() => app('https://mcp.contoso.example'))
    const { failures, findings } = await doctor(`${url}/mcp`)
    expect(failures).toEqual(['resource metadata', 'resource', 'issuer'])
    expect(findings).toContainEqual(
      expect.objectContaining({
        says: expect.stringMatching(/the challenge names https:\/\/mcp\.contoso\.example/),
      }),
    )
  })

  it('metadata that names no server, endpoints elsewhere, no PKCE, no keys', async () => {
    const nameless = await start((url) =>
      replacing(app(url), { [pathMetadata]: { resource: `${url}/mcp` } }),
    )
    expect(await troubleOf(`${nameless}/mcp`)).toMatchObject({
      check: 'issuer',
      says: expect.stringMatching(/names no authorization server/),
    })
    const elsewhere = await start((url) =>
      replacing(app(url), {
        [serverMetadata]: {
          issuer: url,
          authorization_endpoint: 'https://evil.example/authorize',
          token_endpoint: `${url}/token`,
          jwks_uri: `${url}/nothing`,
        },
      }),
    )
    expect((await doctor(`${elsewhere}/mcp`)).failures).toEqual(['endpoints', 'pkce', 'jwks'])
  })

  it.each([[], [7], ['here'], ['mailto:admin@contoso.com'], ['https://']])(
    'metadata whose authorization server is no web address: %j',
    async (...servers) => {
      const url = await start((at) =>
        replacing(app(at), {
          [pathMetadata]: { resource: `${at}/mcp`, authorization_servers: servers },
        }),
      )
      const { troubles } = await doctor(`${url}/mcp`)
      expect(troubles).toMatchObject([
        { check: 'issuer', says: expect.stringMatching(/names no authorization server/) },
      ])
    },
  )

  it('a web application firewall that answers for the token endpoint', async () => {
    const url = await start((url) =>
      replacing(app(url), { '/token': '<html>Are you human?</html>' }),
    )
    expect((await doctor(`${url}/mcp`)).failures).toEqual(['token endpoint', 'caching'])
  })

  it('a discovery document that redirects', async () => {
    const url = await start((url) => {
      const inner = app(url)
      return (req, res) =>
        req.url === pathMetadata
          ? void res.writeHead(302, { location: '/login' }).end()
          : inner(req, res)
    })
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'resource metadata',
      says: expect.stringMatching(/redirects: clients do not follow/),
    })
  })

  it('a clock that is wrong', async () => {
    const url = await start((url) => app(url))
    expect((await doctor(`${url}/mcp`, () => Date.now() + 30_000)).troubles).toMatchObject([
      { check: 'clock', status: 'warning' },
    ])
    expect((await doctor(`${url}/mcp`, () => Date.now() + 120_000)).failures).toEqual(['clock'])
  })

  it('a server that is not there', async () => {
    const url = await start((url) => app(url))
    await servers.pop()?.close()
    expect(await troubleOf(`${url}/mcp`)).toMatchObject({
      check: 'gate',
      says: expect.stringMatching(/ECONNREFUSED/),
    })
  })
})

describe('doctor', () => {
  it('lets no control character of a server reach the terminal', async () => {
    const url = await start(() => (_req, res) => {
      res
        .writeHead(401, { 'www-authenticate': 'Bearer resource_metadata="http://x/\u009b31m"' })
        .end()
    })
    const { out } = await cli(['doctor', `${url}/mcp`])
    expect(out).not.toMatch(/[\u0080-\u009f]/)
  })
})
