/** The registration in Terraform, with the provider azuread (version 3). */
import { UsageError } from '../usage-error.js'
import { byApi, federatedCredential, signInAudience } from './graph-objects.js'
import type { Exposed, Plan } from './plan.js'

/**
 * @throws UsageError for a blueprint
 * @see https://registry.terraform.io/providers/hashicorp/azuread/latest/docs/resources/application
 */
export function terraform(plan: Plan): string {
  if (plan.blueprint) {
    throw new UsageError(
      '--agent-blueprint: --format graph. The provider azuread was not seen to have blueprints',
    )
  }
  return `${[
    `terraform {
  required_providers {
    azuread = {
      source  = "hashicorp/azuread"
      version = "~> 3.0"
    }
  }
}

data "azuread_client_config" "current" {}`,
    ...permissionSources(plan),
    application(plan),
    identifierUri('client_id', `"api://${expression('azuread_application.mcp.client_id')}"`),
    ...plan.identifierUris.map((uri) => identifierUri('mcp_url', string(uri))),
    `resource "azuread_service_principal" "mcp" {
  client_id = azuread_application.mcp.client_id
}`,
    ...plan.clients.map((id, index) => preAuthorized(plan, id, index)),
    ...plan.agents.flatMap((id, index) => assignments(plan, id, index)),
    ...credential(plan),
    `output "client_id" {
  value = azuread_application.mcp.client_id
}

output "tenant_id" {
  value = data.azuread_client_config.current.tenant_id
}`,
  ].join('\n\n')}\n`
}

function application(plan: Plan): string {
  const blocks = [
    `  api {
    requested_access_token_version = 2
${plan.scopes.map(scopeBlock).join('')}  }`,
    `  web {
    redirect_uris = ${strings(plan.redirectUris)}
  }`,
    ...plan.roles.map(roleBlock),
    ...byApi(plan).map(
      ([api, permissions], index) => `  required_resource_access {
    resource_app_id = ${string(api)}
${permissions
  .map(
    ({ scope }) => `
    resource_access {
      id   = data.azuread_service_principal.api${index}.oauth2_permission_scope_ids[${string(scope)}]
      type = "Scope"
    }
`,
  )
  .join('')}  }`,
    ),
    `  lifecycle {
    ignore_changes = [identifier_uris]
  }`,
  ]
  return `resource "azuread_application" "mcp" {
  display_name     = ${string(plan.name)}
  sign_in_audience = ${string(signInAudience(plan))}

${blocks.join('\n\n')}
}`
}

function scopeBlock({ id, value, text }: Exposed): string {
  return `
    oauth2_permission_scope {
      id                         = ${string(id)}
      value                      = ${string(value)}
      type                       = "User"
      enabled                    = true
      admin_consent_display_name = ${string(text.slice(0, 100))}
      admin_consent_description  = ${string(text)}
      user_consent_display_name  = ${string(text.slice(0, 100))}
      user_consent_description   = ${string(text)}
    }
`
}

function roleBlock({ id, value, text }: Exposed): string {
  return `  app_role {
    id                   = ${string(id)}
    value                = ${string(value)}
    display_name         = ${string(text.slice(0, 100))}
    description          = ${string(text)}
    enabled              = true
    allowed_member_types = ["User", "Application"]
  }`
}

function permissionSources(plan: Plan): readonly string[] {
  return byApi(plan).map(
    ([api], index) => `data "azuread_service_principal" "api${index}" {
  client_id = ${string(api)}
}`,
  )
}

function identifierUri(name: string, uri: string): string {
  return `resource "azuread_application_identifier_uri" "${name}" {
  application_id = azuread_application.mcp.id
  identifier_uri = ${uri}
}`
}

function preAuthorized({ scopes }: Plan, clientId: string, index: number): string {
  return `resource "azuread_application_pre_authorized" "client${index}" {
  application_id       = azuread_application.mcp.id
  authorized_client_id = ${string(clientId)}
  permission_ids       = ${strings(scopes.map(({ id }) => id))}
}`
}

/** @see https://registry.terraform.io/providers/hashicorp/azuread/latest/docs/resources/app_role_assignment */
function assignments({ roles }: Plan, agent: string, index: number): readonly string[] {
  const name = `agent${index}`
  return [
    `data "azuread_service_principal" "${name}" {
  client_id = ${string(agent)}
}`,
    ...roles.map(
      ({ id }, role) => `resource "azuread_app_role_assignment" "${name}_role${role}" {
  app_role_id         = ${string(id)}
  principal_object_id = data.azuread_service_principal.${name}.object_id
  resource_object_id  = azuread_service_principal.mcp.object_id

  depends_on = [azuread_application.mcp]
}`,
    ),
  ]
}

function credential(plan: Plan): readonly string[] {
  const { credential: planned } = plan
  if (planned.kind === 'secret') {
    return [
      `resource "azuread_application_password" "mcp" {
  application_id = azuread_application.mcp.id
  display_name   = "mcp-entra"
}

output "client_secret" {
  value     = azuread_application_password.mcp.value
  sensitive = true
}`,
    ]
  }
  if (planned.kind === 'certificate') {
    return [
      `resource "azuread_application_certificate" "mcp" {
  application_id = azuread_application.mcp.id
  type           = "AsymmetricX509Cert"
  encoding       = "pem"
  value          = ${string(planned.pem)}
}`,
    ]
  }
  return [federated(plan)]
}

function federated(plan: Plan): string {
  // The tenant stands between two texts, and is an expression.
  const marker = '\u0000'
  const given = federatedCredential(plan, plan.tenantId ?? marker)
  const { name = '', issuer = '', subject = '', audiences = [] } = given ?? {}
  const written = issuer
    .split(marker)
    .map(escapeText)
    .join(expression('data.azuread_client_config.current.tenant_id'))
  return `resource "azuread_application_federated_identity_credential" "mcp" {
  application_id = azuread_application.mcp.id
  display_name   = ${string(name)}
  issuer         = "${written}"
  subject        = ${string(subject)}
  audiences      = ${strings(audiences)}
}`
}

function strings(texts: readonly string[]): string {
  return `[${texts.map(string).join(', ')}]`
}

/** A text of HCL: `${` and `%{` would begin a template. @see https://developer.hashicorp.com/terraform/language/expressions/strings */
function string(text: string): string {
  return `"${escapeText(text)}"`
}

function escapeText(text: string): string {
  return text
    .replace(/[\\"]/g, '\\$&')
    .replace(/[$%]\{/g, (begin) => `${begin[0]}${begin}`)
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll('\t', '\\t')
    .replace(
      /[\p{Cc}\p{Zl}\p{Zp}]/gu,
      (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
}

/** An expression inside a text. */
function expression(text: string): string {
  return `\${${text}}`
}
