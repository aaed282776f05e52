/** `mcp-entra setup`: prints what registers the app. It executes nothing and sends nothing. */
import { agentConsentUrl } from '../../entra/agent-consent.js'
import { clouds } from '../../entra/clouds.js'
import { isLoopbackHost } from '../../oauth/loopback.js'
import { exitCodes } from '../exit-codes.js'
import type { Io } from '../io.js'
import { azureCli } from './azure-cli.js'
import { bicep } from './bicep.js'
import { environmentFile } from './environment-file.js'
import { graphJson } from './graph-requests.js'
import { knownClients, microsoftGraph } from './known-ids.js'
import { type Answers, atSignIn, type Plan, readPlan } from './plan.js'
import { ask } from './questions.js'
import { terraform } from './terraform.js'

export interface SetupOptions extends Answers {
  readonly format: Format
  readonly ask?: boolean
  readonly json?: boolean
}

type Format = keyof typeof formats

const formats = {
  'azure-cli': { file: 'register.sh', render: azureCli },
  bicep: { file: 'register.bicep', render: bicep },
  terraform: { file: 'register.tf', render: terraform },
  graph: {
    file: 'register.json',
    render: (plan: Plan) => graphJson(plan, clouds[plan.cloud].graph),
  },
  env: { file: '.env', render: environmentFile },
} as const

/** @throws UsageError for answers that make no sense */
export async function setup(options: SetupOptions, io: Io): Promise<number> {
  const { format, ask: asked, json, ...given } = options
  const isMissing = given.name === undefined || given.baseUrl === undefined
  const plan = readPlan(
    asked || (isMissing && io.stdin.isTTY) ? await ask(withoutDefaults(given), io) : given,
  )
  const { file, render } = formats[format]
  const content = render(plan)
  if (json) {
    const files = [{ name: file, content }]
    if (format !== 'env') files.push({ name: '.env', content: environmentFile(plan) })
    io.out(`${JSON.stringify({ format, files, notes: notes(plan) }, null, 2)}\n`)
    return exitCodes.ok
  }
  io.out(content)
  for (const note of notes(plan)) io.err(`Note: ${note}\n`)
  if (format === 'bicep' || format === 'terraform' || format === 'graph') {
    io.err('The settings of the server: run the same with --format env\n')
  }
  return exitCodes.ok
}

/** Where a flag has a default, its question is asked all the same: the default stands in brackets. */
function withoutDefaults({ credential, tenancy, mode, ...given }: Answers): Answers {
  return {
    ...given,
    ...(credential !== 'secret' && credential !== undefined && { credential }),
    ...(tenancy === 'multiple' && { tenancy }),
    ...(mode === 'direct' && { mode }),
  }
}

const m365Copilot = knownClients.get('m365-copilot')?.id ?? ''

/** What the output cannot say, or what surprises people. */
function notes(plan: Plan): readonly string[] {
  const { mode, clients, scopes, mcpUrl, baseUrl, credential, agents, blueprint, identifierUris } =
    plan
  const wants = (client: string) => clients.includes(client)
  return [
    ...(mode === 'direct' && identifierUris.length === 0
      ? [
          `${mcpUrl} cannot be an Application ID URI, because Entra takes no http: here, clients that send it as resource get AADSTS9010010.`,
        ]
      : []),
    ...(mode === 'direct' && identifierUris.length > 0
      ? [
          `${mcpUrl} becomes an Application ID URI, so that clients may send it as resource. Tokens of version 2 come first, because Entra takes it only then; a policy of the tenant may still want its host to be a verified domain.`,
        ]
      : []),
    ...(mode === 'proxy' && clients.length > 0
      ? [
          'Pre-authorized clients matter to those that bring tokens of Entra: behind the proxy nobody needs them.',
        ]
      : []),
    ...(wants(m365Copilot) && !scopes.some(({ value }) => value === 'access_as_user')
      ? [
          'Microsoft 365 Copilot always asks for the scope access_as_user: add --scope access_as_user.',
        ]
      : []),
    ...(wants(m365Copilot)
      ? [
          'The Teams developer portal shows an Application ID URI for Microsoft 365 Copilot: add it to identifierUris in the manifest, beside the others.',
        ]
      : []),
    ...(agents.length > 0
      ? [
          'Assigning app roles to agent identities is as Microsoft documents it, and was not tried in a tenant [unverified]. An agent that acts for people needs no role: an administrator consents to the scope for it, or its blueprint passes it on.',
        ]
      : []),
    ...(blueprint ? blueprintNotes(plan) : []),
    ...(credential.kind === 'secret' && !isLoopbackHost(new URL(baseUrl).hostname)
      ? ['A secret has to be kept and renewed: on Azure, --credential managed-identity needs none.']
      : []),
  ]
}

function blueprintNotes({ permissions, cloud, tenantId = '<tenant id>' }: Plan): readonly string[] {
  const scopes = permissions
    .map(({ api, scope }) => (api === microsoftGraph ? scope : `${api}/${scope}`))
    .filter((scope) => !atSignIn.includes(scope))
  const tenant = `${clouds[cloud].host}/${tenantId}`
  return [
    'The blueprint is as Microsoft documents it, and was not tried in a tenant [unverified], above all tokens of version 2 and the MCP URL as an Application ID URI. Send the requests with AgentIdentityBlueprint.Create, .UpdateAuthProperties.All and .AddRemoveCreds.All, AgentIdentityBlueprintPrincipal.Create and AgentIdentity.Create.All, and without Directory.AccessAsUser.All. Right after another, Graph may not know yet what was just made: repeat.',
    ...(scopes.length > 0
      ? [
          `An administrator consents for the agent: ${agentConsentUrl(tenant, '<agent id>', scopes)}`,
        ]
      : []),
  ]
}
