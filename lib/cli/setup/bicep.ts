/** The registration in Bicep, with the Microsoft Graph extension. */
import { UsageError } from '../usage-error.js'
import {
  appRoles,
  byApi,
  federatedCredential,
  keyCredentials,
  permissionScopes,
  preAuthorizedApplications,
  signInAudience,
} from './graph-objects.js'
import type { Plan } from './plan.js'

/** An expression, written as it is. */
class Expression {
  constructor(readonly text: string) {}
}

/**
 * @throws UsageError for a blueprint
 * @see https://learn.microsoft.com/graph/templates/bicep/reference/applications
 */
export function bicep(plan: Plan): string {
  if (plan.blueprint)
    throw new UsageError('--agent-blueprint: --format graph. Bicep was not seen to have blueprints')
  return `// Registers an MCP server in Microsoft Entra ID, with the Microsoft Graph extension for Bicep. bicepconfig.json needs
//   { "extensions": { "microsoftGraphV1": "br:mcr.microsoft.com/bicep/extensions/microsoftgraph/v1.0:1.0.0" } }
// An app cannot name its own id while it is being made. So deploy it, and then once more with the output:
//   az deployment group create --template-file register.bicep --parameters appId=<output appId>
extension microsoftGraphV1

@description('Empty at the first deployment, then the output appId.')
param appId string = ''
${permissionSources(plan)}
resource app 'Microsoft.Graph/applications@v1.0' = ${write(application(plan))}

resource principal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: app.appId
}
${federated(plan)}${assignments(plan)}
output appId string = app.appId
output tenantId string = tenant().tenantId
`
}

function application(plan: Plan) {
  const uris = [`'api://${expression('appId')}'`, ...plan.identifierUris.map(string)]
  const preAuthorized = preAuthorizedApplications(plan)
  const certificates = keyCredentials(plan)
  return {
    api: {
      requestedAccessTokenVersion: 2,
      oauth2PermissionScopes: permissionScopes(plan),
      ...(preAuthorized.length > 0 && { preAuthorizedApplications: preAuthorized }),
    },
    uniqueName: `mcp-entra-${new URL(plan.mcpUrl).host}${new URL(plan.mcpUrl).pathname}`.replace(
      /[^a-z0-9.-]+/gi,
      '-',
    ),
    displayName: plan.name,
    signInAudience: signInAudience(plan),
    identifierUris: new Expression(`empty(appId) ? [] : [\n    ${uris.join('\n    ')}\n  ]`),
    web: { redirectUris: plan.redirectUris },
    appRoles: appRoles(plan),
    ...(certificates.length > 0 && { keyCredentials: certificates }),
    requiredResourceAccess: byApi(plan).map(([resourceAppId, permissions], index) => ({
      resourceAppId,
      resourceAccess: permissions.map(({ scope }) => ({
        id: new Expression(
          `filter(api${index}.oauth2PermissionScopes, permission => permission.value == ${string(scope)})[0].id`,
        ),
        type: 'Scope',
      })),
    })),
  }
}

function permissionSources(plan: Plan): string {
  return byApi(plan)
    .map(
      ([api], index) =>
        `\nresource api${index} 'Microsoft.Graph/servicePrincipals@v1.0' existing = {\n  appId: ${string(api)}\n}\n`,
    )
    .join('')
}

function federated(plan: Plan): string {
  // The tenant stands between two texts, and is an expression.
  const marker = '\u0000'
  const credential = federatedCredential(plan, plan.tenantId ?? marker)
  if (!credential) return ''
  const { name, issuer, subject, audiences } = credential
  const written = issuer.split(marker).map(escapeText).join(expression('tenant().tenantId'))
  const resource = write({
    name: new Expression(`'\${app.uniqueName}/${escapeText(name)}'`),
    issuer: new Expression(`'${written}'`),
    subject,
    audiences,
  })
  return `
resource federated 'Microsoft.Graph/applications/federatedIdentityCredentials@v1.0' = ${resource}
`
}

/** @see https://learn.microsoft.com/graph/templates/bicep/reference/approleassignedto */
function assignments({ agents, roles }: Plan): string {
  return agents
    .flatMap((agent, index) => [
      `\nresource agent${index} 'Microsoft.Graph/servicePrincipals@v1.0' existing = {\n  appId: ${string(agent)}\n}\n`,
      ...roles.map(({ id }, role) => {
        const body = write({
          appRoleId: id,
          principalId: new Expression(`agent${index}.id`),
          resourceId: new Expression('principal.id'),
        })
        return `\nresource agent${index}role${role} 'Microsoft.Graph/appRoleAssignedTo@v1.0' = ${body}\n`
      }),
    ])
    .join('')
}

function write(value: unknown, indent = ''): string {
  const inner = `${indent}  `
  if (value instanceof Expression) return value.text
  if (typeof value === 'string') return string(value)
  if (Array.isArray(value)) {
    if (value.length === 0) return '[]'
    return `[\n${value.map((one) => inner + write(one, inner)).join('\n')}\n${indent}]`
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([name, one]) => `${inner}${name}: ${write(one, inner)}`,
    )
    return `{\n${members.join('\n')}\n${indent}}`
  }
  return String(value)
}

/** A text of Bicep: `${` would begin an expression. @see https://learn.microsoft.com/azure/azure-resource-manager/bicep/data-types#strings */
function string(text: string): string {
  return `'${escapeText(text)}'`
}

function escapeText(text: string): string {
  return text
    .replace(/[\\']/g, '\\$&')
    .replaceAll(/\$\{/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`)
}

/** An expression inside a text. */
function expression(text: string): string {
  return `\${${text}}`
}
