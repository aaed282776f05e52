/** `mcp-entra setup`: each format is read by what reads it, also when the texts in it are attacks. */
import { execFile, execFileSync } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { parseEnv, promisify } from 'node:util'
import { parse as parseHcl } from '@cdktn/hcl2json'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { z } from 'zod'
import { azureCli } from '../../../lib/cli/setup/azure-cli.js'
import { bicep } from '../../../lib/cli/setup/bicep.js'
import { graphJson } from '../../../lib/cli/setup/graph-requests.js'
import { type Plan, readPlan } from '../../../lib/cli/setup/plan.js'
import { terraform } from '../../../lib/cli/setup/terraform.js'
import { Expression, readBicep } from '../../support/bicep.js'
import { cli } from '../../support/cli.js'
import { certificate } from '../../support/legs.js'

const directory = mkdtempSync(join(tmpdir(), 'mcp-entra-setup-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const base = [
  '--name',
  'Notes',
  '--base-url',
  'https://mcp.contoso.com',
  '--scope',
  'notes.read=Read your notes',
]
const graphApi = '00000003-0000-0000-c000-000000000000'
const principal = '5c1d0c3a-1111-4222-8333-444455556666'
const marker = join(directory, 'injected')

/** How a text of Bicep or HCL holds an expression. */
function expression(text: string): string {
  return `\${${text}}`
}

/** Names that would do something if any quoting were forgotten. */
const attacks = [
  `'; touch ${marker}; '`,
  `"; touch ${marker}; "`,
  `$(touch ${marker})`,
  `\`touch ${marker}\``,
  `${expression('appId')} %{ if true } ${expression('file("/etc/passwd")')}`,
  `$${expression('x')} %%{y} \\${expression('z')}`,
  "{appId} {tenantId} ' \\' \\\\",
  '@/etc/passwd',
  '--help',
  'JSON\nEOF\nrm -rf /',
  'a\tb\r\nc\u0000d\u2028e',
  'Ünïcödé 🗒 « »',
]

const values = {
  baseUrl: 'https://mcp.contoso.com',
  scope: ['notes.read=Read your notes', 'notes.write=Add notes'],
  permission: ['User.Read'],
  appRole: ['Notes.Admin=Administer notes'],
  client: ['vscode', 'azure-cli'],
}

/** The plan with a text wherever a person's text may stand, also one that the options would refuse. */
function planWith(text: string, credential: Plan['credential'] = { kind: 'secret' }): Plan {
  const plan = readPlan({ name: 'x', ...values })
  const named = (list: Plan['scopes']) => list.map((one) => ({ ...one, text }))
  return { ...plan, name: text, scopes: named(plan.scopes), roles: named(plan.roles), credential }
}

describe('setup --format azure-cli', () => {
  it('is a script that bash can read', () => {
    expect(() => execFileSync('bash', ['-n'], { input: azureCli(planWith('Notes')) })).not.toThrow()
  })

  it('creates the app with tokens of version 2 first, and prints the .env', async () => {
    const { calls, output } = await runScript(
      azureCli(readPlan({ name: 'Notes', ...values, mode: 'direct' })),
    )
    const bodies = calls.filter(([verb]) => verb === 'rest').map(bodyOf)
    expect(bodies).toEqual([
      {
        api: { requestedAccessTokenVersion: 2 },
        displayName: 'Notes',
        signInAudience: 'AzureADMyOrg',
        web: { redirectUris: [] },
      },
      { identifierUris: [`api://${appId}`, 'https://mcp.contoso.com/mcp'] },
      {
        api: {
          oauth2PermissionScopes: [
            expect.objectContaining({ value: 'notes.read' }),
            expect.objectContaining({ value: 'notes.write' }),
          ],
        },
        appRoles: [expect.objectContaining({ value: 'Notes.Admin' })],
      },
      {
        api: {
          preAuthorizedApplications: [
            expect.objectContaining({ appId: 'aebc6443-996d-45c2-90f0-388ff96faa56' }),
            expect.objectContaining({ appId: '04b07795-8ddb-461a-bbee-02f9e1bf7b46' }),
          ],
        },
      },
      { appId },
    ])
    const permissions = calls.filter((call) => call.includes('permission'))
    expect(permissions.map((call) => call[call.indexOf('--api') + 1])).toEqual([
      graphApi,
      graphApi,
      graphApi,
      graphApi,
    ])
    expect(output).toContain(`AZURE_CLIENT_ID=${appId}\n`)
  })

  it('prints what util.parseEnv (node --env-file) reads', async () => {
    const { output } = await runScript(azureCli(readPlan({ name: 'Notes', ...values })))
    expect(parseEnv(output)).toEqual({
      PORT: '3000',
      BASE_URL: 'https://mcp.contoso.com',
      AZURE_TENANT_ID: tenantId,
      AZURE_CLIENT_ID: appId,
      AZURE_CLIENT_SECRET: 'a~secret',
      MCP_ENTRA_KEYS: expect.stringMatching(/^[\w+/=]{44}$/),
    })
  })

  it('adds the federated credential of a managed identity, with the tenant of the account', async () => {
    const plan = planWith('Notes', { kind: 'managed-identity', subject: principal })
    const { calls } = await runScript(azureCli(plan))
    expect(bodyOf(calls.filter(([verb]) => verb === 'rest').at(-1) ?? [])).toEqual({
      name: 'mcp-entra',
      issuer: `https://login.microsoftonline.com/${tenantId}/v2.0`,
      subject: principal,
      audiences: ['api://AzureADTokenExchange'],
    })
    expect(calls.some((call) => call.includes('credential') && call.includes('reset'))).toBe(false)
  })

  it('leaves the subject of a workload identity inert, too', async () => {
    const subject = `'";$(touch${'$'}IFS${marker})`
    const plan = planWith('x', {
      kind: 'workload-identity',
      issuer: 'https://issuer.example',
      subject,
    })
    const { calls } = await runScript(azureCli(plan))
    expect(bodyOf(calls.filter(([verb]) => verb === 'rest').at(-1) ?? [])).toMatchObject({
      subject,
    })
    expect(existsSync(marker)).toBe(false)
  })

  it.each(attacks)('leaves a text inert: %j', async (text) => {
    const script = azureCli(planWith(text))
    execFileSync('bash', ['-n'], { input: script })
    const { calls } = await runScript(script)
    const [create, , scopes] = calls.filter(([verb]) => verb === 'rest').map(bodyOf)
    expect(create).toMatchObject({ displayName: text })
    expect(scopes).toMatchObject({
      api: { oauth2PermissionScopes: [{ userConsentDescription: text }, {}] },
    })
    expect(existsSync(marker)).toBe(false)
  })
})

describe('setup --format terraform', () => {
  const read = async (plan: Plan) => (await parseHcl('register.tf', terraform(plan))) as Hcl

  it("is read by HashiCorp's own parser, as it is meant", async () => {
    const { resource, data } = await read(
      readPlan({ name: 'Notes', ...values, mode: 'direct', tenancy: 'multiple' }),
    )
    expect(resource.azuread_application?.mcp?.[0]).toMatchObject({
      display_name: 'Notes',
      sign_in_audience: 'AzureADMultipleOrgs',
      api: [
        {
          requested_access_token_version: 2,
          oauth2_permission_scope: [{ value: 'notes.read' }, { value: 'notes.write' }],
        },
      ],
      app_role: [{ value: 'Notes.Admin' }],
      required_resource_access: [{ resource_app_id: graphApi }],
    })
    expect(resource.azuread_application_identifier_uri).toEqual({
      client_id: [
        {
          application_id: expression('azuread_application.mcp.id'),
          identifier_uri: `api://${expression('azuread_application.mcp.client_id')}`,
        },
      ],
      mcp_url: [
        {
          application_id: expression('azuread_application.mcp.id'),
          identifier_uri: 'https://mcp.contoso.com/mcp',
        },
      ],
    })
    expect(Object.keys(resource.azuread_application_pre_authorized ?? {})).toHaveLength(2)
    expect(data.azuread_service_principal?.api0).toEqual([{ client_id: graphApi }])
  })

  it.each(attacks)('leaves a text inert: %j', async (text) => {
    const { resource } = await read(planWith(text))
    // The parser gives texts as they would have to be written: the signs that begin a template stay doubled.
    const written = text.replace(/[$%]\{/g, (begin) => `${begin[0]}${begin}`)
    const app = resource.azuread_application?.mcp?.[0]
    expect(app).toMatchObject({ display_name: written })
    expect(app).toMatchObject({
      api: [{ oauth2_permission_scope: [{ user_consent_description: written }, {}] }],
    })
    expect(Object.keys(resource)).toHaveLength(5)
  })

  it('has the credential that was chosen', async () => {
    const federated = await read(planWith('x', { kind: 'managed-identity', subject: principal }))
    expect(
      federated.resource.azuread_application_federated_identity_credential?.mcp?.[0],
    ).toMatchObject({
      issuer: `https://login.microsoftonline.com/${expression('data.azuread_client_config.current.tenant_id')}/v2.0`,
      subject: principal,
    })
    expect(federated.resource).not.toHaveProperty('azuread_application_password')
  })
})

describe('setup --credential certificate', () => {
  it('hands over the public part in every format, and never the key', async () => {
    const { both, certificate: pem } = await certificate()
    const der = new X509Certificate(pem).raw.toString('base64')
    const path = join(directory, 'both.pem')
    writeFileSync(path, both)
    const args = ['setup', ...base, '--credential', 'certificate', '--certificate', path]
    const print = async (format: string) => (await cli([...args, '--format', format])).out
    const { calls } = await runScript(await print('azure-cli'))
    const key = { type: 'AsymmetricX509Cert', usage: 'Verify', displayName: 'mcp-entra', key: der }
    expect(bodyOf(calls.find(([verb]) => verb === 'rest') ?? [])).toMatchObject({
      keyCredentials: [key],
    })
    expect(readBicep(await print('bicep')).resources[1]?.body).toMatchObject({
      keyCredentials: [key],
    })
    const { resource } = (await parseHcl('register.tf', await print('terraform'))) as Hcl
    const [registered] = resource.azuread_application_certificate?.mcp ?? []
    expect(
      new X509Certificate((registered as { value: string }).value).raw.toString('base64'),
    ).toBe(der)
    for (const format of ['azure-cli', 'bicep', 'terraform', 'graph', 'env']) {
      expect(await print(format)).not.toContain('PRIVATE')
    }
    expect(await print('env')).toContain('AZURE_CLIENT_CERTIFICATE_PATH=')
  })
})

describe('setup --format bicep', () => {
  it('has every resource with its members', () => {
    const { resources, statements } = readBicep(
      bicep(planWith('Notes', { kind: 'managed-identity', subject: principal })),
    )
    expect(
      resources.map(({ name, type, existing }) => `${name} ${type}${existing ? ' existing' : ''}`),
    ).toEqual([
      'api0 Microsoft.Graph/servicePrincipals@v1.0 existing',
      'app Microsoft.Graph/applications@v1.0',
      'principal Microsoft.Graph/servicePrincipals@v1.0',
      'federated Microsoft.Graph/applications/federatedIdentityCredentials@v1.0',
    ])
    expect(statements).toContain('extension microsoftGraphV1')
    expect(resources[1]?.body).toMatchObject({
      uniqueName: 'mcp-entra-mcp.contoso.com-mcp',
      signInAudience: 'AzureADMyOrg',
      api: {
        requestedAccessTokenVersion: 2,
        oauth2PermissionScopes: [{ isEnabled: true, type: 'User' }, {}],
        preAuthorizedApplications: [{}, {}],
      },
      web: { redirectUris: ['https://mcp.contoso.com/auth/callback'] },
      requiredResourceAccess: [{ resourceAppId: graphApi }],
    })
    const [permission] = Object(resources[1]?.body.requiredResourceAccess)[0].resourceAccess
    expect(permission).toEqual({
      id: new Expression(
        "filter(api0.oauth2PermissionScopes, permission => permission.value == 'User.Read')[0].id",
      ),
      type: 'Scope',
    })
    expect(Object.keys(Object(resources[1]?.body.api))[0]).toBe('requestedAccessTokenVersion')
    expect(resources[3]?.body).toMatchObject({
      name: new Expression(`'${expression('app.uniqueName')}/mcp-entra'`),
      issuer: new Expression(
        `'https://login.microsoftonline.com/${expression('tenant().tenantId')}/v2.0'`,
      ),
      subject: principal,
    })
  })

  it.each(attacks)('leaves a text inert: %j', (text) => {
    const { resources, statements } = readBicep(bicep(planWith(text)))
    expect(resources.find(({ name }) => name === 'app')?.body).toMatchObject({
      displayName: text,
      api: { oauth2PermissionScopes: [{ userConsentDescription: text }, {}] },
    })
    expect(resources).toHaveLength(3)
    expect(statements).toHaveLength(5)
  })
})

const guid = z.guid()
const line = z.string().min(1)
const scopeSchema = z.strictObject({
  id: guid,
  value: z.string().max(120),
  type: z.enum(['User', 'Admin']),
  isEnabled: z.boolean(),
  adminConsentDisplayName: line.max(100),
  adminConsentDescription: line,
  userConsentDisplayName: line.max(100),
  userConsentDescription: line,
})
/** What an application of Graph may have, of what is used here: https://learn.microsoft.com/graph/api/resources/application */
const applicationSchema = z
  .strictObject({
    displayName: z.string().max(256),
    signInAudience: z.enum(['AzureADMyOrg', 'AzureADMultipleOrgs']),
    identifierUris: z.array(z.string()),
    api: z
      .strictObject({
        requestedAccessTokenVersion: z.literal(2),
        oauth2PermissionScopes: z.array(scopeSchema),
        preAuthorizedApplications: z.array(
          z.strictObject({ appId: guid, delegatedPermissionIds: z.array(guid).min(1) }),
        ),
      })
      .partial(),
    web: z.strictObject({ redirectUris: z.array(z.url()) }),
    appRoles: z.array(
      z.strictObject({
        id: guid,
        value: line,
        displayName: line,
        description: line,
        isEnabled: z.boolean(),
        allowedMemberTypes: z.array(z.enum(['User', 'Application'])),
      }),
    ),
    keyCredentials: z.array(
      z.strictObject({
        type: z.literal('AsymmetricX509Cert'),
        usage: z.literal('Verify'),
        displayName: line,
        key: z.base64(),
      }),
    ),
    requiredResourceAccess: z.array(
      z.strictObject({
        resourceAppId: guid,
        resourceAccess: z.array(z.strictObject({ id: guid, type: z.literal('Scope') })),
      }),
    ),
  })
  .partial()
const federatedSchema = z.strictObject({
  name: line,
  issuer: z.string(),
  subject: line,
  audiences: z.array(line).length(1),
})
const requestsSchema = z.strictObject({
  placeholders: z.strictObject({ appId: z.literal('{appId}'), tenantId: z.literal('{tenantId}') }),
  requests: z.array(
    z.strictObject({
      comment: line,
      method: z.enum(['POST', 'PATCH']),
      url: z.string().startsWith('https://graph.microsoft.com/v1.0/'),
      body: z.union([
        applicationSchema,
        federatedSchema,
        z.strictObject({ appId: z.string() }),
        z.strictObject({ passwordCredential: z.strictObject({ displayName: line }) }),
      ]),
    }),
  ),
})

describe('setup --format graph', () => {
  it.each(attacks)('fits the schema of Graph, whatever the text: %j', (text) => {
    const { requests } = requestsSchema.parse(
      JSON.parse(graphJson(planWith(text), 'https://graph.microsoft.com')),
    )
    expect(requests[0]?.body).toMatchObject({
      displayName: text,
      api: { requestedAccessTokenVersion: 2 },
    })
    expect(requests.at(-1)?.url).toMatch(/addPassword$/)
  })

  it('has the public part of a certificate, and nothing of its key', async () => {
    const { both } = await certificate()
    const path = join(directory, 'entra.pem')
    writeFileSync(path, both)
    const { code, out } = await cli([
      'setup',
      ...base,
      '--format',
      'graph',
      '--credential',
      'certificate',
      '--certificate',
      path,
    ])
    expect(code).toBe(0)
    const { requests } = requestsSchema.parse(JSON.parse(out))
    expect(requests[0]?.body).toHaveProperty('keyCredentials')
    expect(out).not.toContain('PRIVATE')
  })

  it('wants the id of a permission that it does not know', async () => {
    const refused = await cli(['setup', ...base, '--format', 'graph', '--permission', 'Mail.Read'])
    expect(refused).toMatchObject({ code: 2, out: '' })
    expect(refused.err).toMatch(/--permission Mail\.Read=<id>/)
    const given = await cli([
      'setup',
      ...base,
      '--format',
      'graph',
      '--permission',
      `Mail.Read=${principal}`,
    ])
    expect(given.code).toBe(0)
    expect(given.out).toContain(principal)
  })
})

describe('setup --format env', () => {
  it('is read by util.parseEnv, with a new key at each run', async () => {
    const read = async () =>
      parseEnv((await cli(['setup', ...base, '--format', 'env', '--tenant', principal])).out)
    const [one, other] = [await read(), await read()]
    expect(one).toMatchObject({
      BASE_URL: 'https://mcp.contoso.com',
      AZURE_TENANT_ID: principal,
      AZURE_CLIENT_SECRET: '',
    })
    expect(Buffer.from(one.MCP_ENTRA_KEYS ?? '', 'base64')).toHaveLength(32)
    expect(one.MCP_ENTRA_KEYS).not.toBe(other.MCP_ENTRA_KEYS)
  })

  it('says what to write for a credential that is no secret', async () => {
    const { out } = await cli([
      'setup',
      ...base,
      '--format',
      'env',
      '--credential',
      'managed-identity',
      '--identity-principal-id',
      principal,
      '--identity-client-id',
      principal,
    ])
    expect(out).toContain(`managedIdentity({ clientId: '${principal}' })`)
    expect(out).not.toContain('AZURE_CLIENT_SECRET')
  })

  it('names the national cloud', async () => {
    const { out } = await cli(['setup', ...base, '--format', 'env', '--cloud', 'usgov'])
    expect(parseEnv(out)).toMatchObject({
      AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.us',
      GRAPH_URL: 'https://graph.microsoft.us/v1.0',
    })
  })
})

const agents = [
  'a9e00001-0000-4000-8000-00000000a9e0',
  'a9e00002-0000-4000-8000-00000000a9e0',
] as const
const roles = ['Notes.Read.All=Read all notes', 'Notes.Index=Index notes']

describe('setup --agent', () => {
  const plan = () => readPlan({ name: 'Notes', ...values, appRole: roles, agent: [...agents] })
  const ids = () => plan().roles.map(({ id }) => id)

  it('assigns every app role to every agent, in a script of the Azure CLI', async () => {
    const { calls } = await runScript(azureCli(plan()))
    const assigned = calls.filter((call) => call.some((word) => word.endsWith('appRoleAssignedTo')))
    expect(assigned.map(bodyOf)).toEqual(
      agents.flatMap(() =>
        ids().map((appRoleId) => ({ principalId: principal, resourceId: principal, appRoleId })),
      ),
    )
    const lookedUp = calls.filter((call) => call.includes('sp') && call.includes('show'))
    expect(lookedUp.map((call) => call[call.indexOf('--id') + 1])).toEqual(
      expect.arrayContaining([appId, ...agents]),
    )
  })

  it('does so in Terraform and in Bicep', async () => {
    const { resource, data } = (await parseHcl('register.tf', terraform(plan()))) as Hcl
    expect(data.azuread_service_principal).toMatchObject({
      agent0: [{ client_id: agents[0] }],
      agent1: [{ client_id: agents[1] }],
    })
    expect(Object.keys(resource.azuread_app_role_assignment ?? {})).toHaveLength(4)
    expect(resource.azuread_app_role_assignment?.agent1_role0).toMatchObject([
      {
        app_role_id: ids()[0],
        principal_object_id: expression('data.azuread_service_principal.agent1.object_id'),
        resource_object_id: expression('azuread_service_principal.mcp.object_id'),
      },
    ])
    const { resources } = readBicep(bicep(plan()))
    const ofAgent = resources.filter(({ name }) => name.startsWith('agent1'))
    expect(ofAgent.map(({ name, existing }) => [name, existing])).toEqual([
      ['agent1', true],
      ['agent1role0', false],
      ['agent1role1', false],
    ])
    expect(ofAgent[1]?.body).toEqual({
      appRoleId: ids()[0],
      principalId: new Expression('agent1.id'),
      resourceId: new Expression('principal.id'),
    })
  })

  it('does so in requests to Graph, each after the look-up of what it names', () => {
    const { placeholders, requests } = readRequests(graphJson(plan(), graphHost))
    expect(placeholders).toMatchObject({
      servicePrincipalId: '{servicePrincipalId}',
      agentPrincipalId: '{agentPrincipalId}',
    })
    expect(requests.slice(-7).map(({ method, url }) => `${method} ${url}`)).toEqual([
      `GET ${graphHost}/v1.0/servicePrincipals(appId='{appId}')`,
      ...agents.flatMap((agent) => [
        `GET ${graphHost}/v1.0/servicePrincipals(appId='${agent}')`,
        `POST ${graphHost}/v1.0/servicePrincipals/{servicePrincipalId}/appRoleAssignedTo`,
        `POST ${graphHost}/v1.0/servicePrincipals/{servicePrincipalId}/appRoleAssignedTo`,
      ]),
    ])
    expect(requests.at(-1)?.body).toEqual({
      principalId: '{agentPrincipalId}',
      resourceId: '{servicePrincipalId}',
      appRoleId: ids()[1],
    })
  })

  it('says what was not tried', async () => {
    const args = ['--app-role', 'Notes.Read.All', '--agent', agents[0]]
    const { code, err } = await cli(['setup', ...base, ...args])
    expect(code).toBe(0)
    expect(err).toMatch(/agent identities .* \[unverified\]/)
  })
})

describe('setup --agent-blueprint', () => {
  const args = [...base, '--mode', 'direct', '--agent-blueprint', '--permission', 'User.Read']

  it('makes the blueprint, its principal and an agent, in the order that Microsoft documents', async () => {
    const { code, out, err } = await cli(['setup', ...args, '--format', 'graph'])
    expect(code).toBe(0)
    const { placeholders, requests } = readRequests(out)
    expect(placeholders.sponsorId).toBe('{sponsorId}')
    const sponsors = { 'sponsors@odata.bind': [`${graphHost}/v1.0/users/{sponsorId}`] }
    const app = `${graphHost}/v1.0/applications(appId='{appId}')`
    const principals = `${graphHost}/v1.0/servicePrincipals`
    expect(requests.map(({ method, url, body }) => [method, url, body])).toEqual([
      [
        'POST',
        `${graphHost}/v1.0/applications`,
        {
          '@odata.type': 'Microsoft.Graph.AgentIdentityBlueprint',
          displayName: 'Notes',
          ...sponsors,
        },
      ],
      ['PATCH', app, { api: { requestedAccessTokenVersion: 2 } }],
      ['PATCH', app, { identifierUris: ['api://{appId}', 'https://mcp.contoso.com/mcp'] }],
      ['PATCH', app, expect.objectContaining({ appRoles: [] })],
      [
        'POST',
        `${principals}/microsoft.graph.agentIdentityBlueprintPrincipal`,
        { appId: '{appId}' },
      ],
      ['POST', `${app}/addPassword`, expect.anything()],
      [
        'POST',
        `${principals}/microsoft.graph.agentIdentity`,
        { displayName: 'Notes', agentIdentityBlueprintId: '{appId}', ...sponsors },
      ],
    ])
    expect(requests.every(({ headers }) => headers?.['OData-Version'] === '4.0')).toBe(true)
    expect(err).toMatch(/\[unverified\]/)
    expect(err).toMatch(/adminconsent\?client_id=<agent id>&scope=User\.Read&redirect_uri=https/)
  })

  it('has a place for the id of the agent among the settings', async () => {
    const { out } = await cli(['setup', ...args, '--format', 'env'])
    expect(parseEnv(out)).toMatchObject({ AGENT_ID: '', AZURE_CLIENT_SECRET: '' })
    expect(out).toContain('agentCredential({ blueprint, agent })')
  })
})

describe('setup', () => {
  it('gives the same ids at every run, and different ones to different scopes', async () => {
    const ids = async () =>
      (await cli(['setup', ...base, '--scope', 'notes.write', '--format', 'graph'])).out.match(
        /"id": "[^"]+"/g,
      )
    const [one, other] = [await ids(), await ids()]
    expect(one).toEqual(other)
    expect(new Set(one).size).toBe(one?.length)
  })

  it.each([
    [
      ['--base-url', 'https://mcp.contoso.com/$(id)', '--name', 'x', '--scope', 'a'],
      /its path must be/,
    ],
    [
      ['--base-url', 'https://a$(id).example', '--name', 'x', '--scope', 'a'],
      /its host has characters/,
    ],
    [
      ['--base-url', 'http://mcp.contoso.com', '--name', 'x', '--scope', 'a'],
      /--base-url must be https/,
    ],
    [
      ['--base-url', 'https://mcp.contoso.com', '--name', 'a\nb', '--scope', 'a'],
      /--name must be one line/,
    ],
    [
      ['--base-url', 'https://mcp.contoso.com/mcp', '--name', 'x', '--scope', 'a'],
      /--base-url ends with "\/mcp", which --resource adds to it: write --base-url 'https:\/\/mcp\.contoso\.com', or --resource \/ if/,
    ],
    [['--base-url', 'https://mcp.contoso.com', '--name', 'x'], /--scope is missing/],
    [[...base, '--scope', "it's"], /--scope must begin with a name/],
    [[...base, '--scope', 'notes.read'], /names something twice/],
    [[...base, '--client', 'emacs'], /give vscode, azure-cli, m365-copilot, or a client id/],
    [[...base, '--permission', '$(id)'], /--permission must be a delegated permission/],
    [[...base, '--credential', 'managed-identity'], /--identity-principal-id must be a GUID/],
    [
      [...base, '--credential', 'workload-identity', '--federated-issuer', 'https://x/{tenantId}'],
      /--federated-issuer/,
    ],
    [
      [...base, '--credential', 'certificate', '--certificate', '/nowhere.pem'],
      /no certificate that can be read/,
    ],
    [[...base, '--agent', agents[0]], /authorized by role: add --app-role/],
    [[...base, '--app-role', 'a', '--agent', 'Clerk'], /--agent must be a GUID/],
    [[...base, '--agent-blueprint'], /needs --mode direct/],
    [
      [...base, '--agent-blueprint', '--mode', 'direct', '--client', 'm365-copilot'],
      /a blueprint \(--agent-blueprint\) has none/,
    ],
    [
      [...base, '--agent-blueprint', '--mode', 'direct', '--tenancy', 'multiple'],
      /its agent is of one tenant/,
    ],
    ...['azure-cli', 'bicep', 'terraform'].map((format): [string[], RegExp] => [
      [...base, '--agent-blueprint', '--mode', 'direct', '--format', format],
      /--agent-blueprint: --format graph\./,
    ]),
    [[...base, '--format', 'yaml'], /Allowed choices are azure-cli, bicep/],
    [[...base, '--colour', 'red'], /unknown option '--colour'/],
  ])('refuses %j with exit code 2 and the remedy', async (args, message) => {
    const { code, out, err } = await cli(['setup', ...args])
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(err).toMatch(message)
  })

  it('names the URL of the endpoint as Entra takes it: with no slash at its end, and not on loopback', async () => {
    const direct = { name: 'Notes', ...values, mode: 'direct' }
    const uris = (more: object) => readPlan({ ...direct, ...more }).identifierUris
    expect(uris({})).toEqual(['https://mcp.contoso.com/mcp'])
    expect(uris({ resource: '/' })).toEqual(['https://mcp.contoso.com'])
    expect(uris({ baseUrl: 'http://localhost:3000' })).toEqual([])
    const { err } = await cli([
      'setup',
      '--name',
      'Notes',
      '--base-url',
      'http://localhost:3000',
      '--scope',
      'notes.read',
      '--mode',
      'direct',
    ])
    expect(err).toMatch(/localhost:3000\/mcp cannot be an Application ID URI/)
  })

  it.each([
    ['/', 'https://mcp.contoso.com'],
    ['/notes', 'https://mcp.contoso.com/notes'],
  ])('with --resource %s registers the URL that clients send: %s', async (path, url) => {
    const args = ['--mode', 'direct', '--resource', path, '--format', 'graph']
    const { out } = await cli(['setup', ...base, ...args])
    expect(out).toContain(JSON.stringify(url))
    expect(out).not.toContain(JSON.stringify(`${url}/`))
  })

  it('does not wait for answers where nobody can give them', async () => {
    const { code, err } = await cli(['setup'])
    expect(code).toBe(2)
    expect(err).toMatch(/--base-url/)
  })

  it('asks in a terminal, and keeps the questions out of the answer', async () => {
    const replies = [
      'Notes',
      'https://mcp.contoso.com',
      'notes.read=Read, notes.write',
      'User.Read',
      '',
      'managed-identity',
      principal,
      '',
      '',
      'vscode',
    ]
    const { code, out, err } = await cli(['setup', '--format', 'graph'], {
      input: `${replies.join('\n')}\n`,
      isTTY: true,
    })
    expect(code).toBe(0)
    requestsSchema.parse(JSON.parse(out))
    const { requests } = JSON.parse(out) as { requests: { body: object }[] }
    expect(requests.map(({ body }) => Object.keys(body)[0])).toEqual([
      'api',
      'identifierUris',
      'api',
      'api',
      'appId',
      'name',
      'requiredResourceAccess',
    ])
    expect(out).toContain(principal)
    expect(err).toMatch(/URL at which clients reach the server \[http:\/\/localhost:3000\]/)
  })

  it('asks for agents where there are roles for them', async () => {
    const replies = ['Notes', 'https://mcp.contoso.com', '', '', 'a.role', agents.join(', ')]
    const input = `${replies.join('\n')}\n`
    const { code, out, err } = await cli(['setup', '--format', 'bicep'], { input, isTTY: true })
    expect(code).toBe(0)
    expect(err).toContain('Agents that get these roles')
    expect(out.match(/Microsoft\.Graph\/appRoleAssignedTo/g)).toHaveLength(2)
    const none = ['Notes', 'https://mcp.contoso.com', '', '', '']
    const other = await cli(['setup', '--format', 'bicep'], { input: none.join('\n'), isTTY: true })
    expect(other.err).not.toContain('Agents that get these roles')
  })

  it('refuses a reply that is no choice', async () => {
    const input = 'Notes\nhttps://mcp.contoso.com\n\n\n\npassword\n'
    const { code, err } = await cli(['setup', '--ask'], { input })
    expect(code).toBe(2)
    expect(err).toMatch(
      /--credential must be one of secret, certificate, managed-identity, workload-identity/,
    )
  })

  it('takes the defaults when input ends', async () => {
    const { code, out } = await cli(['setup', '--ask', '--format', 'env'], { input: '' })
    expect(code).toBe(0)
    expect(parseEnv(out)).toMatchObject({ BASE_URL: 'http://localhost:3000' })
  })

  it('prints everything as one JSON object with --json', async () => {
    const { out, err } = await cli([
      'setup',
      ...base,
      '--json',
      '--mode',
      'direct',
      '--client',
      'm365-copilot',
    ])
    const { files, notes } = JSON.parse(out) as {
      files: { name: string; content: string }[]
      notes: string[]
    }
    expect(files.map(({ name }) => name)).toEqual(['register.sh', '.env'])
    expect(files[0]?.content).toContain(
      'https://teams.microsoft.com/api/platform/v1.0/oAuthConsentRedirect',
    )
    expect(notes.join('\n')).toMatch(
      /verified domain[\s\S]*access_as_user[\s\S]*Teams developer portal/,
    )
    expect(err).toBe('')
  })
})

const graphHost = 'https://graph.microsoft.com'

function readRequests(text: string) {
  return JSON.parse(text) as {
    placeholders: Record<string, string>
    requests: {
      method: string
      url: string
      headers?: Record<string, string>
      body?: unknown
    }[]
  }
}

const appId = 'a0b1c2d3-1111-4222-8333-444455556666'
const tenantId = '6f1d0c3a-1111-4222-8333-444455556666'
const bin = mkdtempSync(join(tmpdir(), 'mcp-entra-bin-'))
const log = join(bin, 'calls')
afterAll(() => rmSync(bin, { recursive: true, force: true }))

/** An `az` that writes down what it is given, and answers as the real one would. */
beforeAll(() => {
  const az = join(bin, 'az')
  writeFileSync(
    az,
    `#!/bin/sh
{ printf '%s\\0' "$@"; printf '\\n\\0'; } >> '${log}'
case "$*" in
  'account show'*) echo ${tenantId} ;;
  *'--query appId'*) echo ${appId} ;;
  *'credential reset'*) echo 'a~secret' ;;
  *'sp show'*) echo ${principal} ;;
esac
`,
  )
  chmodSync(az, 0o755)
})

async function runScript(script: string): Promise<{ calls: string[][]; output: string }> {
  rmSync(log, { force: true })
  const path = join(bin, 'register.sh')
  writeFileSync(path, script)
  const env = { PATH: `${bin}${delimiter}${process.env.PATH}` }
  const { stdout } = await promisify(execFile)('bash', [path], { env, cwd: directory })
  // Words end with a NUL, which none can contain, and so does the line break after each call.
  const calls = readFileSync(log, 'utf8').split('\0\n\0').slice(0, -1)
  return { calls: calls.map((call) => call.split('\0')), output: stdout }
}

function bodyOf(call: readonly string[]): unknown {
  return JSON.parse(call[call.indexOf('--body') + 1] ?? '')
}

interface Hcl {
  readonly resource: Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>>
  readonly data: Readonly<Record<string, Readonly<Record<string, readonly unknown[]>>>>
}
