/** `downstreamCredential` in the hands of clients that were not made for it: Azure's pipeline and Graph's client. */
import {
  bearerTokenAuthenticationPolicy,
  createDefaultHttpClient,
  createEmptyPipeline,
  createPipelineRequest,
  type HttpClient,
} from '@azure/core-rest-pipeline'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import {
  AuthenticationHandler,
  Client,
  type Context,
  type GraphError,
  type Middleware,
} from '@microsoft/microsoft-graph-client'
import { TokenCredentialAuthenticationProvider } from '@microsoft/microsoft-graph-client/authProviders/azureTokenCredentials/index.js'
import type { Express, Request, Response } from 'express'
import {
  type AuthInfo,
  authOf,
  downstreamCredential,
  downstreamToken,
  type EntraAuth,
  OAuthError,
  oboToken,
  requireBearer,
} from 'mcp-entra'
import { startEntra } from 'mcp-entra/testing'
import {
  type DownstreamHost,
  get,
  startDownstreamHost,
  userRead,
} from '../support/downstream-host.js'
import type { Entra } from '../support/host.js'
import { ada, bob, login, refresh } from '../support/oauth-client.js'

const graphRoot = 'https://graph.microsoft.com'
/** What Graph says after a revocation: only a token issued later will do. */
const later = '{"access_token":{"nbf":{"essential":true,"value":"1795000000"}}}'
/** What Graph says when Conditional Access wants more than Entra gives without the user. */
const stronger = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'

let entra: Entra
let host: DownstreamHost

/** The clients insist on https and on Graph's own host: the last step takes them to the emulator. */
const toEmulator = (url: string) => url.replace(graphRoot, entra.url)

beforeAll(async () => {
  entra = await startEntra()
  host = await startDownstreamHost({ entra, downstream: {}, mount })
})
afterAll(async () => {
  await host.close()
  await entra.close()
})
beforeEach(() => entra.clearRequests())
afterEach(() => {
  for (const user of [ada, bob]) entra.challengeGraph(user, undefined)
})

function mount(app: Express, auth: EntraAuth): void {
  const tools = { azure: azureTool, graph: graphTool, replay: replayTool }
  for (const [name, tool] of Object.entries(tools)) {
    app.get(
      `/api/${name}`,
      requireBearer(auth),
      oboToken(auth, { graph: { scopes: [userRead] } }),
      (req: Request, res: Response) =>
        tool(authOf(req)).then(
          (found) => void res.json(found),
          (error: unknown) => void res.status(500).json(told(error)),
        ),
    )
  }
}

/** A tool on Azure's REST pipeline: the one below every Azure SDK client. */
async function azureTool(auth: AuthInfo): Promise<unknown> {
  const pipeline = createEmptyPipeline()
  pipeline.addPolicy(
    bearerTokenAuthenticationPolicy({ credential: downstreamCredential(auth), scopes: userRead }),
  )
  const last = createDefaultHttpClient()
  const client: HttpClient = {
    sendRequest(request) {
      request.url = toEmulator(request.url)
      request.allowInsecureConnection = true
      const sent = last.sendRequest(request)
      request.url = request.url.replace(entra.url, graphRoot)
      return sent
    },
  }
  const request = createPipelineRequest({ url: `${graphRoot}/v1.0/me` })
  const { status, bodyAsText } = await pipeline.sendRequest(client, request)
  return { status, body: JSON.parse(bodyAsText ?? '{}') }
}

/** A tool on the Graph client, which knows nothing of claims challenges. */
async function graphTool(auth: AuthInfo): Promise<unknown> {
  const scopes = [userRead]
  const provider = new TokenCredentialAuthenticationProvider(downstreamCredential(auth), { scopes })
  const wire: Middleware = {
    async execute(context: Context) {
      context.response = await fetch(toEmulator(String(context.request)), context.options)
    },
  }
  const middleware = [new AuthenticationHandler(provider), wire]
  return Client.initWithMiddleware({ middleware }).api('/me').get()
}

/** One that does it for it: a token with what Graph wants, and once more. */
async function replayTool(auth: AuthInfo): Promise<unknown> {
  try {
    return await graphTool(auth)
  } catch (error) {
    const header = (error as GraphError).headers?.get('www-authenticate') ?? ''
    const claims = /claims="([^"]+)"/.exec(header)?.[1]
    if (claims === undefined) throw error
    const wanted = Buffer.from(claims, 'base64').toString()
    await downstreamCredential(auth).getToken(userRead, { claims: wanted })
    return await graphTool(auth)
  }
}

function told(error: unknown): Record<string, unknown> {
  if (error instanceof OAuthError) {
    return { name: error.name, code: error.code, description: error.description }
  }
  const { name, message, statusCode } = error as Error & { statusCode?: number }
  return { name, message, statusCode }
}

const exchanges = () =>
  entra.requestsTo('token').filter(({ grantType }) => grantType === 'on_behalf_of')

const call = async (tool: string, token: string) => {
  const response = await get(`${host.url}/api/${tool}`, token)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('downstreamCredential', () => {
  it("serves Azure's pipeline and Graph's client, with one exchange for both", async () => {
    const token = await entra.mintAccessToken({ user: ada })
    expect((await call('azure', token)).body).toMatchObject({ status: 200, body: { id: ada } })
    expect((await call('graph', token)).body).toMatchObject({ id: ada })
    expect(exchanges()).toHaveLength(1)
  })

  it("hands the claims of a challenge on to Entra when Azure's pipeline meets one", async () => {
    const token = await entra.mintAccessToken({ user: ada })
    await call('azure', token)
    entra.challengeGraph(ada, later)
    expect((await call('azure', token)).body).toMatchObject({ status: 200, body: { id: ada } })
    const [plain, replayed, ...more] = exchanges().map(({ params }) => params.claims)
    expect(more).toEqual([])
    expect(plain).toBeUndefined()
    expect(JSON.parse(replayed ?? '')).toMatchObject(JSON.parse(later))
    expect(entra.requestsTo('graph').map(({ status }) => status)).toEqual([200, 401, 200])
  })

  it('has the new token for everybody who asks afterwards, without claims', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    await call('graph', token)
    entra.challengeGraph(ada, later)
    expect((await call('replay', token)).body).toMatchObject({ id: ada })
    for (const tool of ['azure', 'graph', 'replay']) {
      expect((await call(tool, token)).status).toBe(200)
    }
    expect(exchanges()).toHaveLength(2)
    expect(entra.requestsTo('graph').filter(({ status }) => status === 401)).toHaveLength(1)
  })

  it('leaves a challenge to the tool that does not replay it', async () => {
    const token = await entra.mintAccessToken({ user: ada })
    entra.challengeGraph(ada, later)
    const { status, body } = await call('graph', token)
    expect(status).toBe(500)
    expect(body).toMatchObject({ statusCode: 401 })
  })

  it('throws insufficient_claims when Entra wants the user for it, and leaves others alone', async () => {
    const [hers, his] = [
      await entra.mintAccessToken({ user: ada }),
      await entra.mintAccessToken({ user: bob }),
    ]
    entra.challengeGraph(ada, stronger)
    for (const tool of ['azure', 'replay']) {
      expect((await call(tool, hers)).body).toMatchObject({
        name: 'OAuthError',
        code: 'insufficient_claims',
        description: 'Microsoft Entra wants the user to sign in again, with more proof.',
      })
    }
    expect((await call('azure', his)).body).toMatchObject({ status: 200, body: { id: bob } })
  })

  it('closes the loop in proxy mode: the next login carries what Graph wanted', async () => {
    const before = await login(host.url, { user: ada })
    entra.challengeGraph(ada, stronger)
    expect((await call('replay', before.access_token)).status).toBe(500)
    expect((await refresh(host.url, before)).status).toBe(400)
    entra.clearRequests()
    const after = await login(host.url, { user: ada, clientId: before.clientId })
    const carried = entra.requestsTo('authorize').map(({ params }) => params.claims)
    expect(carried.filter((claims) => claims !== undefined)).toHaveLength(1)
    expect((await call('replay', after.access_token)).body).toMatchObject({ id: ada })
  })

  it('knows the tokens of oboToken, and oboToken those of a replay', async () => {
    const names: string[] = []
    const shared = await startDownstreamHost({
      entra,
      mount(app, auth) {
        app.get(
          '/api/both',
          requireBearer(auth),
          oboToken(auth, { graph: { scopes: [userRead] } }),
          async (req, res) => {
            const caller = authOf(req)
            names.push(await downstreamToken(caller, 'graph'))
            names.push((await downstreamCredential(caller).getToken(userRead)).token)
            names.push(
              (await downstreamCredential(caller).getToken([userRead], { claims: later })).token,
            )
            names.push(await downstreamToken(caller, 'graph'))
            res.end()
          },
        )
      },
    })
    try {
      await get(`${shared.url}/api/both`, await entra.mintAccessToken({ user: ada }))
      expect(names[1]).toBe(names[0])
      expect(names[2]).not.toBe(names[0])
      expect(names[3]).toBe(names[2])
    } finally {
      await shared.close()
    }
  })
})
