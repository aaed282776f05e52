/** The registration as a bash script for the Azure CLI. Its output is the `.env` of the server. */
import { clouds } from '../../entra/clouds.js'
import { UsageError } from '../usage-error.js'
import { environmentLines } from './environment-file.js'
import { type GraphRequest, placeholders } from './graph-objects.js'
import { graphRequests } from './graph-requests.js'
import type { Permission, Plan } from './plan.js'

/**
 * The script. Texts of users stand in JSON inside single quotes, where bash reads nothing.
 *
 * @throws UsageError for a blueprint
 */
export function azureCli(plan: Plan): string {
  if (plan.blueprint) {
    throw new UsageError(
      '--agent-blueprint: --format graph. The Azure CLI signs in with Directory.AccessAsUser.All, with which Microsoft Graph ignores the permissions for Agent ID',
    )
  }
  const { graph } = clouds[plan.cloud]
  const [create, ...others] = graphRequests(plan)
  if (!create) throw new Error('there is always an app to create')
  return [
    '#!/usr/bin/env bash',
    '# Registers an MCP server in Microsoft Entra ID. Read it before you run it: az login, then bash register.sh > .env',
    'set -euo pipefail',
    '',
    'tenant_id="$(az account show --query tenantId --output tsv)"',
    `graph=${quote(`${graph}/v1.0`)}`,
    '',
    '# A new app takes some seconds to be known everywhere.',
    'again() { for _ in 1 2 3 4; do "$@" && return; sleep 5; done; "$@"; }',
    '',
    `# ${create.why}`,
    `app_id="$(${call(create)} --query appId --output tsv)"`,
    '',
    ...others.flatMap((request) => [
      `# ${request.why}`,
      `again ${call(request)} --output none`,
      '',
    ]),
    ...permissionLines(plan),
    ...roleLines(plan),
    ...secretLines(plan),
    ...outputLines(plan),
    '',
  ].join('\n')
}

function call({ method, path, body, fills }: GraphRequest): string {
  const url = `"$graph"${fill(path)}`
  const json = JSON.stringify(body)
  return [
    `az rest --method ${method} --url ${url}`,
    "--headers 'Content-Type=application/json'",
    `--body ${fills ? fill(json) : quote(json)}`,
  ].join(' \\\n  ')
}

/** Quotes a text, with the variables where the placeholders are. */
function fill(text: string): string {
  const variables: Readonly<Record<string, string>> = {
    [placeholders.appId]: '"$app_id"',
    [placeholders.tenantId]: '"$tenant_id"',
  }
  const parts = text.split(/(\{appId\}|\{tenantId\})/)
  return parts
    .filter((part) => part !== '')
    .map((part) => variables[part] ?? quote(part))
    .join('')
}

/** One word of bash, whatever the text is. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

/** Ids of permissions are looked up in the tenant: only the names are known for certain. */
function permissionLines({ permissions }: Plan): readonly string[] {
  const add = ({ api, scope }: Permission) => `add_permission ${quote(api)} ${quote(scope)}`
  return [
    '# The delegated permissions it needs downstream.',
    'add_permission() {',
    '  local id',
    `  id="$(az ad sp show --id "$1" --query "oauth2PermissionScopes[?value=='$2'].id | [0]" --output tsv)"`,
    '  test -n "$id" || { echo "There is no delegated permission $2 on $1." >&2; exit 1; }',
    '  again az ad app permission add --id "$app_id" --api "$1" --api-permissions "$id=Scope" --output none',
    '}',
    ...permissions.map(add),
    '# To consent for all users at once, as an administrator: az ad app permission admin-consent --id "$app_id"',
    '',
  ]
}

/** The app roles, to each agent. */
function roleLines({ agents, roles }: Plan): readonly string[] {
  if (agents.length === 0) return []
  const body = [
    '{"principalId":"',
    '"$principal_id"',
    '","resourceId":"',
    '"$resource_id"',
    '","appRoleId":"',
    '"$2"',
    '"}',
  ].map((part) => (part.includes('$') ? part : quote(part)))
  return [
    '# The app roles, for agents that call on their own.',
    'resource_id="$(again az ad sp show --id "$app_id" --query id --output tsv)"',
    'assign_role() {',
    '  local principal_id',
    '  principal_id="$(az ad sp show --id "$1" --query id --output tsv)"',
    '  again az rest --method POST --url "$graph/servicePrincipals/$resource_id/appRoleAssignedTo" \\',
    "    --headers 'Content-Type=application/json' \\",
    `    --body ${body.join('')} --output none`,
    '}',
    ...agents.flatMap((agent) => roles.map(({ id }) => `assign_role ${quote(agent)} ${quote(id)}`)),
    '',
  ]
}

function secretLines({ credential }: Plan): readonly string[] {
  if (credential.kind !== 'secret') return []
  return [
    '# A client secret, for a year.',
    'client_secret="$(again az ad app credential reset --id "$app_id" --append --display-name mcp-entra --years 1 --query password --output tsv)"',
    '',
  ]
}

function outputLines(plan: Plan): readonly string[] {
  const values = { tenantId: '$tenant_id', clientId: '$app_id', secret: '$client_secret' }
  const print = (line: string) => {
    const [name = '', value = ''] = [
      line.slice(0, line.indexOf('=')),
      line.slice(line.indexOf('=') + 1),
    ]
    if (line.startsWith('#')) return `echo ${quote(line)}`
    if (name === 'MCP_ENTRA_KEYS') return `echo "MCP_ENTRA_KEYS=$(openssl rand -base64 32)"`
    return Object.values(values).includes(value) ? `echo "${name}=${value}"` : `echo ${quote(line)}`
  }
  return [
    '# The settings of the server.',
    ...environmentLines(plan, { ...values, key: '' }).map(print),
  ]
}
