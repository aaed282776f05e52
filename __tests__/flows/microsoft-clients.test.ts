/**
 * Microsoft's own clients behind the proxy: Copilot Studio, Microsoft 365 Copilot and Foundry, as Microsoft's
 * documentation and the trackers of servers describe them. Those that bring Entra's own tokens are in
 * `microsoft-clients-direct.test.ts`.
 */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { Browser, type Page } from '../../examples/demo/browser.js'
import { type Entra, startHost } from '../support/host.js'
import {
  ada,
  authorizeUrl,
  challengeParams,
  getNotes,
  pkce,
  postJson,
  type Tokens,
} from '../support/oauth-client.js'
import {
  expectRefusal,
  jsonOf,
  startProxy,
  startTestEntra,
  type TestProxy,
} from '../support/proxy.js'
import { generations } from '../support/sdk-generations.js'
import { TestProvider } from '../support/sdk-provider.js'

/** The gateway of Power Platform. Each tool has a path of its own there, which stays the same. */
const connector = (tool: string) =>
  `https://global.consent.azure-apim.net/redirect/cr938-5f${tool}-20mcp-5f43bcb8573bc3e84`
/** The same for every plugin of Microsoft 365 Copilot. */
const teams = 'https://teams.microsoft.com/api/platform/v1.0/oAuthRedirect'
/** Foundry shows the real one only after a connection is made: this one stands for it. */
const foundry = 'https://foundry.example/redirect'

/** How a client says who it is at the token endpoint. */
type Credentials = (client: Client) => {
  readonly headers?: Record<string, string>
  readonly params?: Record<string, string>
}

interface Client {
  readonly client_id: string
  readonly client_secret?: string
}

const basic: Credentials = ({ client_id, client_secret }) => ({
  headers: { authorization: `Basic ${btoa(`${client_id}:${client_secret}`)}` },
})
const posted: Credentials = ({ client_id, client_secret = '' }) => ({
  params: { client_id, client_secret },
})
const nameOnly: Credentials = ({ client_id }) => ({ params: { client_id } })

let entra: Entra
let proxy: TestProxy
beforeAll(async () => {
  entra = await startTestEntra()
  const web = {
    application_type: 'web',
    client_secret: 'a secret that the operator keeps',
  } as const
  proxy = await startProxy(entra, {
    clients: [
      {
        ...web,
        client_id: 'm365-copilot',
        client_name: 'Microsoft 365 Copilot',
        redirect_uris: [teams],
        token_endpoint_auth_method: 'client_secret_post',
      },
      {
        ...web,
        client_id: 'foundry',
        client_name: 'Microsoft Foundry',
        redirect_uris: [foundry],
        token_endpoint_auth_method: 'client_secret_post',
      },
    ],
  })
})

async function register(registration: object): Promise<Client & Record<string, unknown>> {
  const response = await postJson(`${proxy.url}/register`, registration)
  const client = await jsonOf<Client & Record<string, unknown>>(response)
  expect({ status: response.status, client }).toMatchObject({ status: 201 })
  return client
}

interface SignedIn {
  readonly code: string
  readonly verifier: string
  readonly redirectUri: string
  /** Every page and redirect of ours that the user's popup went through. */
  readonly way: readonly Page[]
}

/** The user's part, in the popup that the client opens. */
async function signIn(
  client: Client,
  redirectUri: string,
  params: Record<string, string | undefined> = {},
): Promise<SignedIn> {
  const way: Page[] = []
  const browser = new (class extends Browser {
    override async fetchOnce(url: string, init: RequestInit = {}): Promise<Page> {
      const page = await super.fetchOnce(url, init)
      if (url.startsWith(proxy.url)) way.push(page)
      return page
    }
  })({ stopAt: (url) => url.startsWith(redirectUri) })
  const { verifier, challenge } = pkce()
  const page = await browser.open(
    authorizeUrl(proxy.url, client.client_id, challenge, {
      redirect_uri: redirectUri,
      login_hint: ada,
      ...params,
    }),
  )
  expect(page.html).toContain(`<strong>${new URL(redirectUri).host}</strong>`)
  const end = await browser.press(page, 'approve')
  const returned = new URL(end.url)
  expect(returned.origin + returned.pathname).toBe(redirectUri)
  return { code: returned.searchParams.get('code') ?? '', verifier, redirectUri, way }
}

/** Asks the token endpoint, and follows no redirect: Microsoft's token store does not either. */
function askForTokens(
  client: Client,
  credentials: Credentials,
  params: Record<string, string>,
): Promise<Response> {
  const { headers = {}, params: own = {} } = credentials(client)
  return fetch(`${proxy.url}/token`, {
    method: 'POST',
    redirect: 'manual',
    headers,
    body: new URLSearchParams({ ...own, ...params }),
  })
}

const codeParams = ({ code, verifier, redirectUri }: SignedIn) => ({
  grant_type: 'authorization_code',
  code,
  code_verifier: verifier,
  redirect_uri: redirectUri,
})

/** From the code to a call, and over a refresh to the next one. */
async function expectTokensToWork(
  client: Client,
  credentials: Credentials,
  login: SignedIn,
  scope = 'notes.read',
): Promise<void> {
  const response = await askForTokens(client, credentials, codeParams(login))
  expect(response.status).toBe(200)
  const tokens = await jsonOf<Tokens>(response)
  expect(tokens).toMatchObject({ token_type: 'Bearer', scope })
  expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)
  const renewed = await askForTokens(client, credentials, {
    grant_type: 'refresh_token',
    refresh_token: tokens.refresh_token,
  })
  expect(renewed.status).toBe(200)
  const { access_token } = await jsonOf<Tokens>(renewed)
  expect((await getNotes(proxy.url, access_token)).status).toBe(200)
}

describe('Copilot Studio, by dynamic discovery', () => {
  it('finds the documents at the root of the host, without a redirect', async () => {
    const unauthorized = await fetch(`${proxy.url}/api/notes`)
    expect(unauthorized.status).toBe(401)
    expect(challengeParams(unauthorized)).toHaveProperty('resource_metadata')
    const read = async (name: string) => {
      const response = await fetch(`${proxy.url}/.well-known/${name}`, { redirect: 'manual' })
      expect(response.status).toBe(200)
      return jsonOf(response)
    }
    expect(await read('oauth-protected-resource')).toMatchObject({
      resource: `${proxy.url}/mcp`,
      authorization_servers: [proxy.url],
    })
    expect(await read('oauth-authorization-server')).toMatchObject({
      registration_endpoint: `${proxy.url}/register`,
      token_endpoint_auth_methods_supported: expect.arrayContaining(['client_secret_basic']),
      code_challenge_methods_supported: ['S256'],
    })
  })

  it('registers the address of one tool, names no scope, signs its user in, calls and refreshes', async () => {
    const redirectUri = connector('notes')
    const client = await register({ client_name: 'notes', redirect_uris: [redirectUri] })
    expect(client).toMatchObject({
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: expect.any(String),
      client_secret_expires_at: 0,
    })
    await expectTokensToWork(client, basic, await signIn(client, redirectUri))
  })

  it('registers as a public client too, if it asks for that', async () => {
    const redirectUri = connector('notes')
    const client = await register({
      redirect_uris: [redirectUri],
      token_endpoint_auth_method: 'none',
    })
    expect(client).not.toHaveProperty('client_secret')
    await expectTokensToWork(client, nameOnly, await signIn(client, redirectUri))
  })

  it('gets no code at the address of another tool, though both are on one host', async () => {
    const client = await register({ redirect_uris: [connector('notes')] })
    const other = authorizeUrl(proxy.url, client.client_id, pkce().challenge, {
      redirect_uri: connector('mail'),
    })
    const response = await fetch(other, { redirect: 'manual' })
    expect(response.status).toBe(400)
    expect(response.headers.get('location')).toBeNull()
  })
})

describe('Microsoft 365 Copilot and Teams, by registration', () => {
  it.each([
    ['no method', {}, 'client_secret_basic', basic],
    ['no method, and sends the secret by POST', {}, 'client_secret_basic', posted],
    [
      'client_secret_basic',
      { token_endpoint_auth_method: 'client_secret_basic' },
      'client_secret_basic',
      basic,
    ],
    [
      'client_secret_post',
      { token_endpoint_auth_method: 'client_secret_post' },
      'client_secret_post',
      posted,
    ],
  ])('gets a secret when it names %s, and uses it', async (_named, method, known, credentials) => {
    const client = await register({
      client_name: 'Notes plugin',
      redirect_uris: [teams],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      ...method,
    })
    expect(client).toMatchObject({
      token_endpoint_auth_method: known,
      client_secret: expect.any(String),
      client_secret_expires_at: 0,
    })
    await expectTokensToWork(client, credentials, await signIn(client, teams))
  })

  it('is refused without its secret and with a wrong one, which costs its code nothing', async () => {
    const client = await register({ redirect_uris: [teams] })
    const login = await signIn(client, teams)
    const wrong = { ...client, client_secret: 'wrong' }
    for (const credentials of [nameOnly, () => basic(wrong), () => posted(wrong)]) {
      const response = await askForTokens(client, credentials, codeParams(login))
      await expectRefusal(response, 'invalid_client', 401)
    }
    await expectTokensToWork(client, basic, login)
  })

  it('keeps in touch with its popup: no page of ours cuts window.opener off', async () => {
    const client = await register({ redirect_uris: [teams] })
    const { way } = await signIn(client, teams)
    expect(way.map(({ status }) => status)).toEqual([200, 303, 302])
    for (const { headers, html } of way) {
      expect(headers.get('cross-origin-opener-policy')).toBeNull()
      expect(html).not.toContain('<script')
    }
  })
})

describe('Microsoft 365 Copilot and Teams, by OAuth with a client that the operator sets up', () => {
  const client = { client_id: 'm365-copilot', client_secret: 'a secret that the operator keeps' }

  it('asks for offline_access as well, and gets what there is', async () => {
    const scope = 'notes.read notes.write offline_access'
    const login = await signIn(client, teams, { scope })
    expect(login.way[0]?.html).toContain('The operator of this server knows this application.')
    await expectTokensToWork(client, posted, login, 'notes.read notes.write')
  })
})

describe('Foundry, by OAuth identity passthrough', () => {
  const client = { client_id: 'foundry', client_secret: 'a secret that the operator keeps' }

  it('names no resource, and gets tokens for the first one', async () => {
    const login = await signIn(client, foundry, { resource: undefined })
    await expectTokensToWork(client, posted, login)
  })
})

/** The default of RFC 7591 is the answer to what is not said, so every client that leaves the method out gets it. */
describe.each(generations)('a real client that names no method ($name)', (generation) => {
  class DefaultProvider extends TestProvider {
    override readonly clientMetadata = withoutMethod(
      new TestProvider('').clientMetadata,
    ) as TestProvider['clientMetadata']
  }

  it('signs in with its secret, calls, and refreshes', async () => {
    const host = await startHost(entra)
    const provider = new DefaultProvider('ada@contoso.example')
    await expect(generation.connect(host.url, provider)).rejects.toThrow()
    expect(provider.clientInformation()).toMatchObject({
      token_endpoint_auth_method: 'client_secret_basic',
      client_secret: expect.any(String),
    })
    await generation.finish(host.url, provider, await provider.signIn())
    const first = await generation.connect(host.url, provider)
    expect(await first.tools()).toContain('whoami')
    await first.close()
    provider.saveTokens({ ...provider.tokens(), access_token: 'no longer good' })
    const again = await generation.connect(host.url, provider)
    expect(await again.tools()).toContain('whoami')
    await again.close()
    expect(provider.sentTo).toHaveLength(1)
    await host.close()
  })
})

function withoutMethod({
  token_endpoint_auth_method: _method,
  ...metadata
}: TestProvider['clientMetadata']): object {
  return metadata
}
