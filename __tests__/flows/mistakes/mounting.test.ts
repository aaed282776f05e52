/** Middleware in the wrong place, as an operator with the default logger sees it at the first request. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import connect from 'connect'
import express, { type Express } from 'express'
import express4 from 'express4'
import {
  type EntraAuth,
  type EntraAuthOptions,
  entraAuth,
  oauthRoutes,
  requireBearer,
  resourceMetadata,
} from 'mcp-entra'
import { authOptions, type Entra } from '../../support/auth-options.js'
import { defaultLogger, watchConsole } from '../../support/console.js'
import { ask } from '../../support/gate.js'
import { type Listening, listen } from '../../support/host.js'
import { login } from '../../support/oauth-client.js'
import { startTestEntra } from '../../support/proxy.js'

const entra: Entra = await startTestEntra()
let seen: ReturnType<typeof watchConsole>
let servers: Listening[] = []
beforeEach(() => {
  seen = watchConsole()
})
afterEach(async () => {
  seen.end()
  await Promise.all(servers.map((server) => server.close()))
  servers = []
})

interface Mounting extends Partial<EntraAuthOptions> {
  readonly basePath?: string
  readonly without?: readonly string[]
}

/** Starts an application. @returns its origin, whatever path its `baseUrl` has */
async function start(
  mount: (app: Express, auth: EntraAuth) => void,
  { basePath = '', without = [], ...more }: Mounting = {},
): Promise<string> {
  const server = await listen((url) => {
    entra.addRedirectUri(`${url}${basePath}/auth/callback`)
    const all = authOptions(entra, url + basePath, [], { ...defaultLogger, ...more })
    const kept = Object.entries(all).filter(([name]) => !without.includes(name))
    const app = express()
    mount(app, entraAuth(Object.fromEntries(kept) as unknown as EntraAuthOptions))
    return app
  })
  servers.push(server)
  return server.url
}

/** What an MCP client sends first. */
const asMcpClient = {
  method: 'POST',
  headers: { accept: 'application/json, text/event-stream', 'content-type': 'application/json' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} }),
}

const warning = (reason: string, hint: unknown, detail: unknown = expect.any(String)) => ({
  level: 'warn',
  message: 'mcp-entra: warning',
  fields: { reason, detail, hint },
})

/** Other frameworks than Express 5, as far as they are used here. */
const frameworks = [
  ['Connect', () => connect()],
  ['Express 4', () => express4() as unknown as connect.Server],
] as const

const ok: express.RequestHandler = (_req, res) => void res.json({ ok: true })

/** Three requests: a warning comes with the first that shows the mistake, and never again. */
async function askThrice(url: string, init?: RequestInit): Promise<void> {
  for (let i = 0; i < 3; i++) await (await fetch(url, init)).text()
}

describe('a gate', () => {
  it('on a route outside `resources` names the line to change', async () => {
    const url = await start((app, auth) => {
      app.use(oauthRoutes(auth))
      app.all('/ai', requireBearer(auth), ok)
    })
    await askThrice(`${url}/ai`, asMcpClient)
    expect(seen.lines).toEqual([
      warning(
        'not_a_resource',
        "Write entraAuth({ …, resources: ['/ai'] }).",
        `requireBearer guards /ai, and sends clients to get tokens for ${url}/mcp: an MCP client compares the two, and gives up`,
      ),
    ])
  })

  it('beside other resources is one more of them', async () => {
    const url = await start(
      (app, auth) => {
        app.use(oauthRoutes(auth))
        app.use('/base/ai', requireBearer(auth), ok)
      },
      { basePath: '/base', resources: ['/one', '/two'] },
    )
    await askThrice(`${url}/base/ai?x=1`, asMcpClient)
    expect(seen.lines).toEqual([
      warning(
        'not_a_resource',
        "Write entraAuth({ …, resources: ['/one', '/two', '/ai'] }), and requireBearer(auth, { resource: '/ai' }).",
      ),
    ])
  })

  it('of another resource than that of its route says which', async () => {
    const url = await start(
      (app, auth) => {
        app.use(oauthRoutes(auth))
        app.all('/two', requireBearer(auth), ok)
      },
      { resources: ['/one', '/two'] },
    )
    await askThrice(`${url}/two`, asMcpClient)
    expect(seen.lines).toEqual([
      warning('other_resource', "Write requireBearer(auth, { resource: '/two' })."),
    ])
  })

  it.each([
    ['/mcp', 'its own path'],
    ['/MCP/', 'its path as Express takes it, too'],
    ['/mcp/session/1', 'below it'],
  ])('says nothing where it belongs: %s', async (path) => {
    const url = await start((app, auth) => {
      app.use(oauthRoutes(auth))
      app.use('/mcp', requireBearer(auth), ok)
    })
    await askThrice(url + path, asMcpClient)
    expect(seen.lines).toEqual([])
  })

  it('says nothing behind a proxy that takes the path of baseUrl away', async () => {
    const url = await start(
      (app, auth) => {
        app.use(oauthRoutes(auth))
        app.all('/mcp', requireBearer(auth), ok)
      },
      { basePath: '/base' },
    )
    await askThrice(`${url}/mcp`, asMcpClient)
    expect(seen.lines).toEqual([])
  })

  it('says nothing of an API beside the MCP endpoint', async () => {
    const url = await start((app, auth) => {
      app.use(oauthRoutes(auth))
      app.all('/api/notes', requireBearer(auth), ok)
    })
    await askThrice(`${url}/api/notes`, { method: 'POST' })
    await askThrice(`${url}/api/notes`, { headers: { accept: 'text/event-stream' } })
    expect(seen.lines).toEqual([])
  })

  it('shows the pattern of a route, and no long part of a path, which may be a secret', async () => {
    const secret = 'a-capability-of-more-than-32-characters'
    const url = await start((app, auth) => {
      app.use(oauthRoutes(auth))
      app.all('/of/:key', requireBearer(auth), ok)
      app.use('/below', requireBearer(auth), ok)
    })
    await askThrice(`${url}/of/${secret}`, asMcpClient)
    await askThrice(`${url}/below/${secret}`, asMcpClient)
    expect(seen.lines.map(({ fields }) => fields.hint)).toEqual([
      "Write entraAuth({ …, resources: ['/of/:key'] }).",
      "Write entraAuth({ …, resources: ['/below/…'] }).",
    ])
    expect(JSON.stringify(seen.lines)).not.toContain(secret)
  })

  it('without oauthRoutes says that clients are sent nowhere', async () => {
    const url = await start((app, auth) => {
      app.all('/mcp', requireBearer(auth), ok)
      app.all('/api', requireBearer(auth), ok)
    })
    await askThrice(`${url}/mcp`)
    await askThrice(`${url}/api`)
    expect(seen.lines).toEqual([
      warning(
        'no_discovery',
        'Mount app.use(oauthRoutes(auth)), at the root of the application. If another process answers there, all is well.',
        `requireBearer sends clients to ${url}/.well-known/oauth-protected-resource/mcp, and nothing in this process answers there`,
      ),
    ])
  })

  it('in direct mode names resourceMetadata, and says nothing once that is there', async () => {
    const direct = { without: ['keys', 'credential'] }
    const bare = await start((app, auth) => app.all('/mcp', requireBearer(auth), ok), direct)
    await askThrice(`${bare}/mcp`)
    expect(seen.lines).toEqual([
      warning('no_discovery', expect.stringContaining('app.use(resourceMetadata(auth))')),
    ])
    seen.lines.length = 0
    const whole = await start((app, auth) => {
      app.all('/mcp', requireBearer(auth), ok)
      app.use(resourceMetadata(auth))
    }, direct)
    await askThrice(`${whole}/mcp`, asMcpClient)
    expect(seen.lines).toEqual([])
  })

  it('does not look at requests that pass', async () => {
    const url = await start((app, auth) => {
      app.use(oauthRoutes(auth))
      app.all('/ai', requireBearer(auth), ok)
    })
    const { access_token } = await login(url)
    expect((await ask(`${url}/ai`, access_token, asMcpClient)).status).toBe(200)
    expect(seen.lines).toEqual([])
  })
})

describe('oauthRoutes', () => {
  const underPrefix = warning(
    'mounted_under_prefix',
    'Write app.use(oauthRoutes(auth)), without a path, at the root of the application: whatever path baseUrl has, it adds itself.',
    'oauthRoutes is mounted under /oauth, and sees no request for /.well-known/…, where clients begin',
  )

  it('under a prefix says so at the first request', async () => {
    const url = await start((app, auth) => app.use('/oauth', oauthRoutes(auth)))
    await askThrice(`${url}/oauth/authorize`)
    expect(seen.lines).toEqual([underPrefix])
  })

  it.each(frameworks)('and so in %s', async (_name, make) => {
    const server = await listen((url) => {
      const app = make()
      app.use('/oauth', oauthRoutes(entraAuth(authOptions(entra, url, [], defaultLogger))))
      return app
    })
    servers.push(server)
    await askThrice(`${server.url}/oauth/register?x=1`)
    expect(seen.lines).toEqual([underPrefix])
  })

  it('at the root says nothing, with a path in baseUrl and behind routers too', async () => {
    const url = await start(
      (app, auth) => {
        const router = express.Router()
        router.use(oauthRoutes(auth))
        app.use(router)
      },
      { basePath: '/base' },
    )
    await askThrice(`${url}/base/authorize`)
    await askThrice(`${url}/`)
    expect(seen.lines.filter(({ message }) => message === 'mcp-entra: warning')).toEqual([])
  })

  it('behind a proxy that takes the path of baseUrl away says so', async () => {
    const url = await start((app, auth) => app.use(oauthRoutes(auth)), { basePath: '/base' })
    await askThrice(`${url}/mcp`)
    expect(seen.lines).toEqual([])
    await askThrice(`${url}/authorize?client_id=x`)
    await askThrice(`${url}/token`, { method: 'POST' })
    expect(seen.lines).toEqual([
      warning(
        'prefix_stripped',
        expect.stringContaining('location /base/ { proxy_pass http://app; }'),
        'a request came for /authorize, and its place is /base/authorize: it seems that a proxy in front takes /base away',
      ),
    ])
  })
})

describe('a request for a discovery document at a wrong path', () => {
  const server = (url: string) => `${url}/.well-known/oauth-authorization-server/base`
  const resource = (url: string) => `${url}/.well-known/oauth-protected-resource/base/mcp`
  const routes = (app: Express, auth: EntraAuth) => void app.use(oauthRoutes(auth))
  const base = { basePath: '/base' }

  it.each([
    ['/.well-known/oauth-protected-resource/ai', resource],
    ['/.well-known/oauth-protected-resource/mcp', resource],
    ['/.well-known/oauth-authorization-server/mcp', server],
    ['/.well-known/openid-configuration', server],
    ['/.well-known/openid-configuration/base', server],
  ])('is a 404 in JSON that names the right one: %s', async (path, right) => {
    const url = await start(routes, base)
    const response = await fetch(url + path)
    expect(response.status).toBe(404)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(response.headers.get('content-security-policy')).toBeNull()
    const body = (await response.json()) as { error: string; error_description: string }
    expect(body.error).toBe('not_found')
    const [named = ''] = /https?:\S+$/.exec(body.error_description) ?? []
    expect(named).toBe(right(url))
    expect((await fetch(named)).status).toBe(200)
  })

  it.each(frameworks)('and so in %s', async (_name, make) => {
    const server = await listen((url) => {
      const app = make()
      app.use('/', oauthRoutes(entraAuth(authOptions(entra, url, [], defaultLogger))))
      return app
    })
    servers.push(server)
    const response = await fetch(`${server.url}/.well-known/openid-configuration`)
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({ error: 'not_found' })
    const head = await fetch(`${server.url}/.well-known/openid-configuration`, { method: 'HEAD' })
    expect(head.status).toBe(404)
    expect(head.headers.get('content-type')).toBe('application/json')
  })

  it("leaves every answer of the application's own alone, a 404 in JSON and another proxy too", async () => {
    const url = await start((app, auth) => {
      app.use(oauthRoutes(auth))
      const other = `${auth.baseUrl.replace('/base', '/other')}`
      app.use(oauthRoutes(entraAuth(authOptions(entra, other, [], defaultLogger))))
      app.get('/.well-known/openid-configuration', (_req, res) => void res.json({ mine: true }))
      app.get('/.well-known/oauth-authorization-server/stream', (_req, res) => {
        res.status(404).write('half of ')
        res.end('a page')
      })
      app.use((_req, res) => void res.status(404).json({ mine: 'not here' }))
    }, base)
    const get = async (path: string) => (await fetch(`${url}/.well-known/${path}`)).text()
    expect(await get('openid-configuration')).toBe('{"mine":true}')
    expect(await get('oauth-protected-resource/other/mcp')).toContain(`${url}/other/mcp`)
    expect(await get('oauth-authorization-server/stream')).toBe('half of a page')
    expect(await get('oauth-protected-resource/nowhere')).toBe('{"mine":"not here"}')
  })

  it('is nothing to do with other pages that are not there', async () => {
    const url = await start(routes, base)
    for (const path of ['/nowhere', '/.well-known/security.txt', '/.well-known/oauth-other']) {
      const response = await fetch(url + path)
      expect(response.status).toBe(404)
      expect(response.headers.get('content-type')).toContain('text/html')
    }
  })
})
