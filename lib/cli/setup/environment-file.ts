/** The `.env` of the reference host. */
import { randomBytes } from 'node:crypto'
import { clouds } from '../../entra/clouds.js'
import type { Plan } from './plan.js'

/** What is not known before the app is registered. */
export interface Known {
  readonly tenantId: string
  readonly clientId: string
  readonly secret: string
  readonly key: string
}

/** The file, with a new key, and with empty values for what the registration will say. */
export function environmentFile(plan: Plan): string {
  const key = randomBytes(32).toString('base64')
  const lines = environmentLines(plan, {
    tenantId: plan.tenantId ?? '',
    clientId: '',
    secret: '',
    key,
  })
  return `${lines.join('\n')}\n`
}

/** Its lines: comments and `NAME=value`. No value needs quotes: each has been checked. */
export function environmentLines(plan: Plan, known: Known): readonly string[] {
  const { baseUrl, cloud, multiTenant } = plan
  const { host, graph } = clouds[cloud]
  return [
    `PORT=${new URL(baseUrl).port || '3000'}`,
    `BASE_URL=${baseUrl}`,
    ...(multiTenant
      ? [
          '# Users of other tenants: set tenantId to "organizations" and list allowedTenants in entraAuth.',
        ]
      : []),
    `AZURE_TENANT_ID=${known.tenantId}`,
    `AZURE_CLIENT_ID=${known.clientId}`,
    ...credentialLines(plan, known),
    ...(plan.blueprint
      ? [
          '# Give entraAuth: credential: agentCredential({ blueprint, agent }), with the above as blueprint and this as agent.',
          'AGENT_ID=',
        ]
      : []),
    ...(plan.mode === 'proxy'
      ? [
          '# To change it: append a new one on every replica (old,new), then move it to the front (new,old).',
          `MCP_ENTRA_KEYS=${known.key}`,
        ]
      : []),
    ...(cloud === 'public' ? [] : [`AZURE_AUTHORITY_HOST=${host}`, `GRAPH_URL=${graph}/v1.0`]),
    '# More than one process: REDIS_URL=rediss://…',
    ...(plan.mode === 'proxy'
      ? [
          '# A company whose identity provider lets clients in: MCP_ENTRA_IDENTITY_ASSERTIONS=[{"issuer":"https://…"}]',
        ]
      : []),
  ]
}

/** The reference host reads a secret. Of the others, the file says what to write in its place. */
function credentialLines({ credential }: Plan, { secret }: Known): readonly string[] {
  const inHost = (code: string) => [
    `# In place of clientSecret, give entraAuth: credential: ${code}`,
  ]
  switch (credential.kind) {
    case 'secret':
      return [`AZURE_CLIENT_SECRET=${secret}`]
    case 'certificate':
      return [
        ...inHost('clientCertificate({ path })'),
        '# A PEM file with the certificate and its key.',
        'AZURE_CLIENT_CERTIFICATE_PATH=',
      ]
    case 'managed-identity':
      return inHost(
        `managedIdentity({ clientId: '${credential.clientId ?? 'client id of the identity'}' })`,
      )
    case 'workload-identity':
      return inHost('workloadIdentity()')
  }
}
