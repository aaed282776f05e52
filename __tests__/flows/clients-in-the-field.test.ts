/**
 * The clients people use, as they behave: what each registers, where it waits for its code, what else it
 * sends, each through registration, consent, sign-in, tokens, a call and a refresh. Bodies and addresses are
 * those seen in the clients' sources and trackers in 2025 and 2026; ports are random wherever theirs are.
 */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { Browser, type Page } from '../../examples/demo/browser.js'
import type { Entra } from '../support/host.js'
import {
  ada,
  authorizeUrl,
  getNotes,
  pkce,
  postJson,
  type Tokens,
} from '../support/oauth-client.js'
import { jsonOf, startProxy, startTestEntra, type TestProxy } from '../support/proxy.js'

/** A client. */
interface FieldClient {
  readonly client: string
  readonly registration: Readonly<Record<string, unknown>>
  /** Where it waits, when that is not the first it registered. */
  readonly waitsAt?: string
  /** What it sends besides the usual. */
  readonly authorize?: Readonly<Record<string, string>>
  /** `/mcp` unless it says otherwise; null when it sends none. */
  readonly resource?: string | null
  /** Sends `scope` along with a refresh. */
  readonly refreshScope?: string
  /** How it logs in at the token endpoint. */
  readonly credentials?: 'basic' | 'basic, form-encoded' | 'post'
  /** What the consent page calls its address. */
  readonly destination: string
  /** Whether the page says that anything on the device could ask under its name. */
  readonly warned: boolean
}

const both = ['authorization_code', 'refresh_token']
const code = ['code']

const clients: readonly FieldClient[] = [
  {
    client: 'Claude on the web and the desktop',
    registration: {
      client_name: 'Claude',
      grant_types: both,
      response_types: code,
      token_endpoint_auth_method: 'none',
      scope: 'notes.read',
      redirect_uris: ['https://claude.ai/api/mcp/auth_callback'],
    },
    authorize: { scope: 'notes.read offline_access', prompt: 'consent' },
    destination: 'claude.ai',
    warned: false,
  },
  {
    client: 'Claude, new address, with a secret sent by POST',
    registration: {
      client_name: 'Claude',
      grant_types: both,
      response_types: code,
      token_endpoint_auth_method: 'client_secret_post',
      redirect_uris: ['https://claude.com/api/mcp/auth_callback'],
    },
    credentials: 'post',
    destination: 'claude.com',
    warned: false,
  },
  {
    client: 'Claude Code',
    registration: {
      client_name: 'Claude Code (notes)',
      redirect_uris: ['http://localhost:3118/callback'],
      grant_types: both,
      response_types: code,
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    waitsAt: 'http://localhost:54212/callback',
    destination: 'localhost:54212 (this device)',
    warned: true,
  },
  {
    client: 'VS Code, on a random port',
    registration: {
      client_name: 'Visual Studio Code',
      client_uri: 'https://code.visualstudio.com',
      grant_types: [...both, 'urn:ietf:params:oauth:grant-type:device_code'],
      response_types: code,
      redirect_uris: [
        'https://insiders.vscode.dev/redirect',
        'https://vscode.dev/redirect',
        'http://127.0.0.1/',
        'http://127.0.0.1:33418/',
      ],
      scope: 'notes.read',
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    waitsAt: 'http://127.0.0.1:59656/',
    destination: '127.0.0.1:59656 (this device)',
    warned: true,
  },
  {
    client: 'VS Code, by way of vscode.dev, with a server URL that has a query',
    registration: {
      client_name: 'Visual Studio Code',
      redirect_uris: [
        'https://insiders.vscode.dev/redirect',
        'https://vscode.dev/redirect',
        'http://127.0.0.1/',
        'http://127.0.0.1:33418/',
      ],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    waitsAt: 'https://vscode.dev/redirect',
    authorize: { state: 'vscode://vscode.github-authentication/did-authenticate?nonce=%2Fa%3D' },
    resource: '/mcp?default_context_mode=fast',
    destination: 'vscode.dev',
    warned: false,
  },
  {
    client: 'Cursor, by its own scheme',
    registration: {
      client_name: 'Cursor',
      redirect_uris: [
        'cursor://anysphere.cursor-mcp/oauth/callback',
        'https://www.cursor.com/agents/mcp/oauth/callback',
        'http://localhost:8787/callback',
      ],
      grant_types: both,
      response_types: code,
      token_endpoint_auth_method: 'none',
    },
    destination: 'the application on this device that handles "cursor:" links',
    warned: true,
  },
  {
    client: 'Cursor before 2026, with an address for each server',
    registration: {
      client_name: 'Cursor',
      redirect_uris: ['cursor://anysphere.cursor-retrieval/oauth/user-notes/callback'],
      token_endpoint_auth_method: 'none',
    },
    destination: 'the application on this device that handles "cursor:" links',
    warned: true,
  },
  {
    client: 'Cursor agents, in the cloud',
    registration: {
      client_name: 'Cursor',
      redirect_uris: [
        'cursor://anysphere.cursor-mcp/oauth/callback',
        'https://www.cursor.com/agents/mcp/oauth/callback',
        'http://localhost:8787/callback',
      ],
      token_endpoint_auth_method: 'none',
    },
    waitsAt: 'https://www.cursor.com/agents/mcp/oauth/callback',
    destination: 'www.cursor.com',
    warned: false,
  },
  {
    client: 'ChatGPT, with the address of one connector and a query in the resource',
    registration: {
      client_name: 'ChatGPT',
      redirect_uris: ['https://chatgpt.com/connector/oauth/OUbdUMlL15Ct'],
      grant_types: both,
      response_types: code,
      token_endpoint_auth_method: 'none',
    },
    authorize: { scope: 'openid notes.read offline_access' },
    resource: '/mcp?kb_name=handbook',
    destination: 'chatgpt.com',
    warned: false,
  },
  {
    client: 'ChatGPT, a published app, with a secret by un-encoded Basic',
    registration: {
      client_name: 'ChatGPT',
      redirect_uris: ['https://chatgpt.com/connector_platform_oauth_redirect'],
      token_endpoint_auth_method: 'client_secret_basic',
    },
    credentials: 'basic',
    resource: null,
    destination: 'chatgpt.com',
    warned: false,
  },
  {
    client: 'MCP Inspector in the browser, scope empty',
    registration: {
      client_name: 'MCP Inspector',
      client_uri: 'https://github.com/modelcontextprotocol/inspector',
      redirect_uris: ['http://localhost:6274/oauth/callback'],
      token_endpoint_auth_method: 'none',
      grant_types: both,
      response_types: code,
      application_type: 'native',
      scope: '',
    },
    authorize: { scope: '' },
    destination: 'localhost:6274 (this device)',
    warned: true,
  },
  {
    client: 'MCP Inspector on the command line',
    registration: {
      client_name: 'MCP Inspector',
      redirect_uris: ['http://127.0.0.1:6276/oauth/callback'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    authorize: { scope: 'notes.read notes.write offline_access', prompt: 'consent' },
    destination: '127.0.0.1:6276 (this device)',
    warned: true,
  },
  {
    client: 'mcp-remote, with the scopes of OpenID Connect alone, and scope at refresh',
    registration: {
      client_name: 'MCP CLI Proxy',
      client_uri: 'https://github.com/modelcontextprotocol/mcp-cli',
      redirect_uris: ['http://localhost:33512/oauth/callback'],
      token_endpoint_auth_method: 'none',
      grant_types: both,
      response_types: code,
      software_id: '2e6dc280-f3c3-4e01-99a7-8181dbd1d23d',
      software_version: '0.15.1',
      scope: 'openid email profile',
      application_type: 'native',
    },
    authorize: { scope: 'openid email profile' },
    refreshScope: 'openid email profile',
    destination: 'localhost:33512 (this device)',
    warned: true,
  },
  {
    client: 'mcp-remote without the resource parameter',
    registration: {
      client_name: 'MCP CLI Proxy',
      redirect_uris: ['http://localhost:3335/oauth/callback'],
      token_endpoint_auth_method: 'none',
      application_type: 'native',
    },
    resource: null,
    destination: 'localhost:3335 (this device)',
    warned: true,
  },
  {
    client: 'Codex, with an address for each server on a random port',
    registration: {
      client_name: 'Codex',
      redirect_uris: ['http://127.0.0.1:37819/callback/Xb3kQ9s1zT2a'],
      grant_types: both,
      token_endpoint_auth_method: 'none',
      response_types: code,
      application_type: 'native',
    },
    destination: '127.0.0.1:37819 (this device)',
    warned: true,
  },
  {
    client: 'opencode, no application_type',
    registration: {
      client_name: 'OpenCode',
      client_uri: 'https://opencode.ai',
      redirect_uris: ['http://127.0.0.1:19876/mcp/oauth/callback'],
      grant_types: both,
      response_types: code,
      token_endpoint_auth_method: 'none',
    },
    destination: '127.0.0.1:19876 (this device)',
    warned: true,
  },
  {
    client: 'SDK v1 with little to say, and a slash at the end of the resource',
    registration: { redirect_uris: ['http://localhost:8090/callback'] },
    credentials: 'basic',
    resource: '/mcp/',
    destination: 'localhost:8090 (this device)',
    warned: true,
  },
  {
    client:
      'a web client with a secret by form-encoded Basic, and nulls where it has nothing to say',
    registration: {
      client_name: 'Notes dashboard',
      redirect_uris: ['https://dashboard.example/cb?tenant=a%2Fb'],
      application_type: 'web',
      token_endpoint_auth_method: 'client_secret_basic',
      client_uri: null,
      logo_uri: null,
      scope: null,
      contacts: null,
    },
    credentials: 'basic, form-encoded',
    destination: 'dashboard.example',
    warned: false,
  },
]

let entra: Entra
let proxy: TestProxy
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra)
})

interface Registered {
  readonly client_id: string
  readonly client_secret?: string
}

describe('the journey of', () => {
  it.each(clients)('$client', async (field) => {
    const registered = await register(field)
    const { verifier, page, returned } = await signIn(field, registered)
    const shown = page.html.replaceAll('&quot;', '"')
    expect(shown).toContain(`<strong>${field.destination}</strong>`)
    expect(shown.includes('Runs on this device.')).toBe(field.warned)

    const resource = resourceOf(field)
    const tokens = await ask(field, registered, {
      grant_type: 'authorization_code',
      code: returned.get('code') ?? '',
      code_verifier: verifier,
      redirect_uri: waitsAt(field),
      ...(resource !== undefined && { resource }),
    })
    expect((await getNotes(proxy.url, tokens.access_token)).status).toBe(200)

    const renewed = await ask(field, registered, {
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh_token,
      ...(field.refreshScope !== undefined && { scope: field.refreshScope }),
      ...(resource !== undefined && { resource }),
    })
    expect(renewed.refresh_token).not.toBe(tokens.refresh_token)
    expect((await getNotes(proxy.url, renewed.access_token)).status).toBe(200)
  })
})

function waitsAt({ waitsAt: address, registration }: FieldClient): string {
  return address ?? String((registration.redirect_uris as string[])[0])
}

function resourceOf({ resource = '/mcp' }: FieldClient): string | undefined {
  return resource === null ? undefined : proxy.url + resource
}

async function register({ registration, credentials }: FieldClient): Promise<Registered> {
  const response = await postJson(`${proxy.url}/register`, registration)
  const answer = await jsonOf<Registered & Record<string, unknown>>(response)
  expect({ status: response.status, answer }).toMatchObject({ status: 201 })
  expect(answer.redirect_uris).toEqual(registration.redirect_uris)
  expect(answer.grant_types).toEqual(both)
  expect(answer.client_secret !== undefined).toBe(credentials !== undefined)
  // SDKs take an absent member for absent, and null for a mistake.
  expect(Object.values(answer)).not.toContain(null)
  return answer
}

async function signIn(field: FieldClient, { client_id }: Registered) {
  const redirect_uri = waitsAt(field)
  const { verifier, challenge } = pkce()
  const { state = 'client-state', ...more } = field.authorize ?? {}
  const resource = resourceOf(field)
  const browser = new Browser({ stopAt: (url) => url.startsWith(redirect_uri) })
  const page = await browser.open(
    authorizeUrl(proxy.url, client_id, challenge, {
      redirect_uri,
      state,
      resource,
      // Not the clients' doing: it spares the tests the sign-in page.
      login_hint: ada,
      ...more,
    }),
  )
  expect(page.status).toBe(200)
  const end = await agreeAtEntra(browser, await browser.press(page, 'approve'))
  expect(end.url.startsWith(redirect_uri)).toBe(true)
  const returned = new URL(end.url).searchParams
  expect(returned.getAll('state')).toEqual([state])
  expect(returned.getAll('iss')).toEqual([proxy.url])
  expect(returned.getAll('code')).toEqual([expect.stringMatching(/^[\w-]{43}$/)])
  return { verifier, page, returned }
}

/** `prompt=consent` brings up Entra's own page as well. */
async function agreeAtEntra(browser: Browser, page: Page): Promise<Page> {
  return page.status === 200 ? browser.press(page, 'accept') : page
}

async function ask(
  { credentials, authorize }: FieldClient,
  { client_id, client_secret = '' }: Registered,
  params: Record<string, string>,
): Promise<Tokens> {
  const body = new URLSearchParams(params)
  const headers = new Headers()
  const encode = credentials === 'basic' ? String : encodeURIComponent
  if (credentials?.startsWith('basic')) {
    headers.set('authorization', `Basic ${btoa(`${encode(client_id)}:${encode(client_secret)}`)}`)
  } else {
    body.set('client_id', client_id)
    if (credentials === 'post') body.set('client_secret', client_secret)
  }
  const response = await fetch(`${proxy.url}/token`, { method: 'POST', headers, body })
  const tokens = await jsonOf<Tokens>(response)
  const scope = authorize?.scope?.includes('notes.write') ? 'notes.read notes.write' : 'notes.read'
  expect({ status: response.status, tokens }).toEqual({
    status: 200,
    tokens: {
      access_token: expect.any(String),
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      refresh_token: expect.any(String),
      scope,
    },
  })
  return tokens
}
