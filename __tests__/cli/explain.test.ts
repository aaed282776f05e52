/** `mcp-entra explain`: plain words, decoded here, and never the token itself. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { Explanation } from '../../lib/cli/explain/explanation.js'
import { testKeys } from '../support/auth-options.js'
import { type CliOptions, cli } from '../support/cli.js'
import { loginBound, newKey, proof } from '../support/dpop.js'
import { startWorld, type World } from '../support/host.js'
import { type AssertionChanges, startIdentityProvider } from '../support/identity-provider.js'
import { login } from '../support/oauth-client.js'

let world: World
beforeAll(async () => {
  world = await startWorld()
})
afterAll(() => world.close())

interface Result {
  readonly code: number
  readonly err: string
  readonly said: Explanation
}

/** Settings of the world's server. */
function settings(more: CliOptions['env'] = {}): NonNullable<CliOptions['env']> {
  const { entra, url } = world
  return {
    AZURE_TENANT_ID: entra.tenant.id,
    AZURE_CLIENT_ID: entra.app.clientId,
    AZURE_AUTHORITY_HOST: entra.url,
    BASE_URL: url,
    ...more,
  }
}

async function explain(input: string, options: CliOptions = {}): Promise<Result> {
  const { code, out, err } = await cli(['explain', '--json', '-'], {
    env: settings(),
    input,
    ...options,
  })
  return { code, err, said: JSON.parse(out) as Explanation }
}

/** No part of the token that says anything may come back. */
function expectHidden(token: string, text: string): void {
  for (const part of token.split('.')) expect(text).not.toContain(part.slice(0, 24))
}

describe('explain, of tokens of Entra', () => {
  it('says who, for whom, until when, and that only the signature is open', async () => {
    const token = await world.entra.mintAccessToken({
      user: 'ada@contoso.example',
      scopes: ['notes.read'],
    })
    const { code, said } = await explain(token)
    expect(code).toBe(0)
    expect(said).toMatchObject({ kind: 'entra-access-token', gate: { admits: 'unknown' } })
    expect(said.summary).toMatch(/for ada@contoso\.example, good for another 6\d minutes/)
    const facts = Object.fromEntries(said.facts)
    expect(facts).toMatchObject({
      name: 'Ada Lovelace',
      tenant: world.entra.tenant.id,
      'for (aud)': world.entra.app.clientId,
      'scopes (scp)': 'notes.read',
      version: '2.0',
    })
    expect(facts['good until']).toMatch(/^\d{4}-.* \(in \d+ minutes\)$/)
    expect(said.gate?.because.join(' ')).toMatch(/audience, version, kind and issuer are good/)
    expectHidden(token, JSON.stringify(said))
  })

  it('says so when a token names no user', async () => {
    const claims = { iss: 'https://sts.example/', tid: world.entra.tenant.id }
    const parts = [{ alg: 'RS256' }, claims].map((part) =>
      Buffer.from(JSON.stringify(part)).toString('base64url'),
    )
    const { said } = await explain(`${parts.join('.')}.AA`)
    expect(said.summary).toMatch(/for a user without a name, without an expiry/)
  })

  it.each([
    ['ab3be6b7-f5df-413d-ac2d-abf1e3fd9c0b', 'm365-copilot'],
    ['aebc6443-996d-45c2-90f0-388ff96faa56', 'vscode'],
  ])("names a client of Microsoft's: %s is %s", async (azp, name) => {
    const token = await world.entra.mintAccessToken({
      user: 'ada@contoso.example',
      claims: { azp },
    })
    const { said } = await explain(token)
    expect(said.facts).toContainEqual(['asked for by (azp)', `${azp} (${name})`])
  })

  it('takes a whole Authorization header', async () => {
    const token = await world.entra.mintAccessToken({ user: 'ada@contoso.example' })
    expect((await explain(`Authorization: Bearer ${token}\n`)).said.kind).toBe('entra-access-token')
  })

  it.each([
    ['of version 1', { version: 1 as const }, /version 1\.0/, /requestedAccessTokenVersion/],
    ['that has expired', { expiresIn: -600 }, /has expired/, /compare the clocks/],
    [
      'for Graph',
      { audience: 'https://graph.microsoft.com' },
      /Microsoft Graph/,
      /api:\/\/<client id>/,
    ],
    [
      'for another app',
      { audience: '6f1d0c3a-1111-4222-8333-444455556666' },
      /another application/,
      /AZURE_CLIENT_ID/,
    ],
    ['without a scope', { scopes: [] }, /grants no scope/, /not an id token/],
    ['of an app without a role', { user: null, roles: [] }, /no app role/, /assign an app role/],
    [
      'whose claims contradict each other',
      { claims: { idtyp: 'app', xms_sub_fct: '13' } },
      /is a user or an agent/,
      /contradict each other/,
    ],
    ['that is bound', { claims: { cnf: { kid: 'a' } } }, /token protection/, /not bound/],
    ['of another tenant', { user: 'frida@fabrikam.example' }, /another tenant/, /guest/],
  ])('says why the gate refuses one %s', async (_what, options, because, remedy) => {
    const token = await world.entra.mintAccessToken({ user: 'ada@contoso.example', ...options })
    const { said } = await explain(token)
    expect(said.gate?.admits).toBe('no')
    expect(said.gate?.because.join(' ')).toMatch(because)
    expect(said.remedies.join(' ')).toMatch(remedy)
    expectHidden(token, JSON.stringify(said))
  })

  it('knows an application, which has no user', async () => {
    const token = await world.entra.mintAccessToken({ user: null })
    expect((await explain(token)).said.summary).toMatch(/for an application without a user/)
  })

  it.each([
    [{ xms_act_fct: '9 11' }, /for ada@contoso\.example, through an agent that acts for them/],
    [{ xms_act_fct: '11', xms_sub_fct: '13' }, /the user account of an agent \(ada@/],
    [{ idtyp: 'app', xms_act_fct: '11', xms_sub_fct: '11', scp: '/' }, /for an agent on its own/],
  ])('tells an agent from a person: %j', async (claims, words) => {
    const blueprint = 'b10e0001-0000-4000-8000-00000000b10e'
    const token = await world.entra.mintAccessToken({
      user: 'ada@contoso.example',
      claims: { ...claims, xms_par_app_azp: blueprint },
    })
    const { said } = await explain(token)
    expect(said.summary).toMatch(words)
    expect(Object.fromEntries(said.facts)).toMatchObject({
      'blueprint of that agent (xms_par_app_azp)': blueprint,
      'facets of the actor (xms_act_fct)': claims.xms_act_fct,
    })
  })

  it('says what it would have to know', async () => {
    const token = await world.entra.mintAccessToken({ user: 'ada@contoso.example' })
    const env = { AZURE_AUTHORITY_HOST: world.entra.url }
    expect((await explain(token, { env })).said.gate?.because.join(' ')).toMatch(/say --client-id/)
  })

  it('lets no control character of a claim reach the terminal', async () => {
    const token = await world.entra.mintAccessToken({
      user: 'ada@contoso.example',
      claims: { name: 'A\u001b[31mda\nfailure' },
    })
    const { out } = await cli(['explain', '-'], { env: settings(), input: token })
    expect(out).toContain('A [31mda failure')
    expect(out.includes('\u001b')).toBe(false)
  })
})

describe('explain, of tokens of a server', () => {
  it('checks the signature when it has the keys, and names no person', async () => {
    const { access_token: token } = await login(world.url)
    const known = await explain(token, { env: settings({ MCP_ENTRA_KEYS: testKeys.join(',') }) })
    expect(known.said).toMatchObject({
      kind: 'server-access-token',
      gate: { admits: 'unknown', because: [expect.stringMatching(/signature is good/)] },
    })
    const foreign = await explain(token, {
      env: settings({ MCP_ENTRA_KEYS: 'another key: 0123456789abcdef' }),
    })
    expect(foreign.said.gate).toMatchObject({
      admits: 'no',
      because: [expect.stringMatching(/not one of this server/)],
    })
    expectHidden(token, JSON.stringify([known.said, foreign.said]))
    expect(JSON.stringify(known.said)).not.toContain(claimsOf(token).sid)
  })

  it('compares issuer and audience without the keys', async () => {
    const { access_token: token } = await login(world.url)
    expect((await explain(token)).said.gate?.admits).toBe('unknown')
    const { said } = await explain(token, {
      env: settings({ BASE_URL: 'https://mcp.contoso.example' }),
    })
    expect(said.gate).toMatchObject({ admits: 'no' })
    expect(said.gate?.because.join(' ')).toContain(
      `It was issued by ${world.url}, not by https://mcp.contoso.example.`,
    )
  })

  it('says of a JWT of others that it is none of ours', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const token = `${part({ alg: 'RS256' })}.${part({ iss: 'https://accounts.google.example', exp: 1 })}.AAAA`
    expect((await explain(token)).said).toMatchObject({
      kind: 'unknown-token',
      gate: { admits: 'no' },
    })
  })
})

describe('explain, of DPoP', () => {
  const key = newKey()
  const url = 'https://mcp.contoso.com/mcp'
  const env = () => settings({ BASE_URL: 'https://mcp.contoso.com' })

  it('says what request a proof is for, and whose key it is', async () => {
    const { said } = await explain(`DPoP: ${proof(key, 'POST', url, 'a token')}`, { env: env() })
    expect(said).toMatchObject({ kind: 'dpop-proof', gate: { admits: 'unknown' } })
    expect(said.summary).toContain(`POST ${url}`)
    expect(Object.fromEntries(said.facts)).toMatchObject({ 'key (jkt)': key.jkt })
  })

  it.each([
    ['is too old', { claims: { iat: 1_700_000_000 } }, /iat/],
    ['is signed by another key', { signer: newKey().privateKey }, /bad signature/],
    ['shows its private key', { header: { jwk: { ...key.jwk, d: 'x' } } }, /private key/],
  ])('says why one is refused that %s', async (_what, parts, because) => {
    const { said } = await explain(proof(key, 'POST', url, undefined, parts), { env: env() })
    expect(said.gate?.admits).toBe('no')
    expect(said.gate?.because.join(' ')).toMatch(because)
  })

  it.each([
    'http://mcp.contoso.com/mcp',
    'https://mcp.contoso.com/inside/mcp',
    'https://mcp.contoso.com/appmcp',
    'not a URL',
  ])('says that the server is somewhere else than a proof for %s', async (htu) => {
    const options = { env: settings({ BASE_URL: 'https://mcp.contoso.com/app' }) }
    const { said } = await explain(proof(key, 'POST', htu), options)
    expect(said.gate).toEqual({
      admits: 'no',
      because: ['Its URL (htu) is not below BASE_URL, https://mcp.contoso.com/app.'],
    })
    expect(said.remedies.join(' ')).toContain('scheme and prefix')
    const right = await explain(proof(key, 'POST', 'https://MCP.contoso.com/app/mcp'), options)
    expect(right.said.gate?.admits).toBe('unknown')
  })

  it('shows the key of a token of the server that is bound', async () => {
    const { access_token } = await loginBound(world.url, key)
    const { facts, gate } = (await explain(access_token)).said
    expect(Object.fromEntries(facts)['bound to a key (cnf)']).toContain(key.jkt)
    expect(gate?.because.join(' ')).toMatch(/has to come as DPoP/)
    const withKeys = await explain(access_token, {
      env: settings({ MCP_ENTRA_KEYS: testKeys.join() }),
    })
    expect(withKeys.said.gate?.because.join(' ')).toMatch(/signature is good.*as DPoP/)
  })
})

describe('explain, of codes, headers and addresses', () => {
  it.each([
    'AADSTS50011',
    '50011',
    'aadsts50011: The redirect URI …',
    'error AADSTS50011 in my log',
  ])('knows %s', async (text) => {
    const { said } = await explain(text)
    expect(said).toMatchObject({
      kind: 'aadsts-code',
      facts: expect.arrayContaining([['kind', 'misconfigured']]),
    })
    expect(said.remedies.join()).toContain('redirect URI')
  })

  it('says where to look up a code that it does not know', async () => {
    expect((await explain('AADSTS99999999')).said.remedies.join()).toContain('error?code=99999999')
  })

  it('explains the challenge of a real server', async () => {
    const response = await fetch(`${world.url}/mcp`, { method: 'POST' })
    const { said } = await explain(`WWW-Authenticate: ${response.headers.get('www-authenticate')}`)
    expect(said.summary).toMatch(/had no token/)
    expect(said.facts).toContainEqual([
      'where to read on',
      `${world.url}/.well-known/oauth-protected-resource/mcp`,
    ])
  })

  it.each([
    ['Bearer', /had no token/],
    ['Bearer error="invalid_token", error_description="The token has expired."', /not good/],
    [
      'Bearer error="insufficient_scope", scope="notes.read notes.write"',
      /needs the scopes notes\.read notes\.write/,
    ],
    [
      `Bearer error="insufficient_claims", claims="${Buffer.from('{"access_token":{}}').toString('base64')}"`,
      /more of the user/,
    ],
    ['DPoP error=use_dpop_nonce', /use_dpop_nonce/],
    ['DPoP error="invalid_dpop_proof", algs="ES256 EdDSA RS256"', /proof is not/],
  ])('explains %s', async (text, summary) => {
    const { said } = await explain(text)
    expect(said).toMatchObject({ kind: 'challenge' })
    expect(said.summary).toMatch(summary)
  })

  it('decodes the claims of a challenge', async () => {
    const claims = Buffer.from('{"access_token":{"acrs":{"essential":true}}}').toString('base64')
    const { said } = await explain(`Bearer error="insufficient_claims", claims="${claims}"`)
    expect(said.facts).toContainEqual(['claims', '{"access_token":{"acrs":{"essential":true}}}'])
  })

  it.each([
    [
      'https://mcp.contoso.com/auth/callback?error=invalid_client&error_description=AADSTS650053%3A+The+application%0D%0ATrace+ID%3A+1',
      /AADSTS650053/,
    ],
    [
      'http://127.0.0.1:33418/callback?error=access_denied&iss=https%3A%2F%2Fmcp.contoso.com',
      /not allowed/,
    ],
    ['https://login.microsoftonline.com/error?code=7000215', /AADSTS7000215/],
    ['https://client.example/cb#error=server_error', /server_error|failed/],
  ])('explains %s', async (url, summary) => {
    expect((await explain(url)).said.summary).toMatch(summary)
  })

  it('never repeats the code of a login that succeeded', async () => {
    const { out } = await cli([
      'explain',
      'http://127.0.0.1:33418/callback?code=0.AXsecretsecret&state=s3cr3tstate',
    ])
    expect(out).toMatch(/no error/)
    expect(out).not.toMatch(/AXsecret|s3cr3tstate/)
  })

  it.each([
    'hello',
    '',
    'https://mcp.contoso.com/',
    '0.AXsecretsecret_refresh',
    'eyJub3Q.eyJh.token',
    'x'.repeat(70_000),
  ])('does not make up an explanation, and repeats nothing: exit code 2 (%#)', async (text) => {
    const { code, out, err } = await cli(['explain', '-'], { input: text })
    expect({ code, out }).toEqual({ code: 2, out: '' })
    if (text !== '') expect(err).not.toContain(text)
  })

  it('says so when a token came as an argument, where a shell keeps it', async () => {
    const token = await world.entra.mintAccessToken({ user: 'ada@contoso.example' })
    const { code, err } = await cli(['explain', token], { env: settings() })
    expect(code).toBe(0)
    expect(err).toMatch(/history of your shell/)
    expectHidden(token, err)
  })

  it('says in its help how to keep tokens out of the history of the shell', async () => {
    const { code, out } = await cli(['explain', '--help'])
    expect(code).toBe(0)
    expect(out).toMatch(/standard input[\s\S]*history/)
  })
})

function claimsOf(token: string): Record<string, string> {
  return JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Record<
    string,
    string
  >
}

describe('explain, of identity assertions', () => {
  const assertion = async (changes: AssertionChanges = {}) => {
    const provider = await startIdentityProvider({
      claims: () => ({ aud: world.url, client_id: 'work', oid: 'an-object-id' }),
    })
    return provider.assertion(changes)
  }

  it('says whose word it is, and that it is for the token endpoint', async () => {
    const token = await assertion()
    const { code, said } = await explain(token)
    expect(code).toBe(0)
    expect(said).toMatchObject({ kind: 'identity-assertion', gate: { admits: 'no' } })
    expect(Object.fromEntries(said.facts)).toMatchObject({ client: 'work', 'for (aud)': world.url })
    expect(said.gate?.because.join(' ')).toMatch(/for the token endpoint.*jti are good/)
    expectHidden(token, JSON.stringify(said))
  })

  it.each(['application/oauth-id-jag+jwt', 'OAuth-ID-JAG+jwt'])(
    'knows one of type %s',
    async (typ) => {
      const { said } = await explain(await assertion({ header: { typ } }))
      expect(said.gate?.because.join(' ')).toMatch(/jti are good/)
    },
  )

  it('says that one which is bound needs a proof', async () => {
    const { said } = await explain(await assertion({ claims: { cnf: { jkt: newKey().jkt } } }))
    expect(said.gate?.because.join(' ')).toMatch(/DPoP proof \(cnf\)/)
  })

  it.each([
    ['audience', { aud: 'https://other.example' }, /must name .* as its only audience/],
    ['jti', { jti: undefined }, /no usable 'jti'/],
    ['time', { iat: 1, exp: 300 }, /has expired/],
    ['user', { sub: undefined }, /missing or wrong 'sub'/],
    ['client', { client_id: undefined }, /no 'client_id'/],
    ['resource', { resource: 'https://other.example/mcp' }, /names the resource .*--resource/],
    ['grant', { authorization_details: [] }, /'authorization_details'/],
  ])('says that the %s is wrong', async (_what, claims, reason) => {
    const { said } = await explain(await assertion({ claims }))
    expect(said.gate?.because.join(' ')).toMatch(reason)
  })
})
