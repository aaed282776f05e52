/** What every test gives `entraAuth`: the emulator's tenant and app, scopes, keys, and a log that tests read. */
import { clientSecret, type EntraAuthOptions, entraScopes, type Logger } from 'mcp-entra'
import type { startEntra } from 'mcp-entra/testing'

export type Entra = Awaited<ReturnType<typeof startEntra>>

export const userRead = 'https://graph.microsoft.com/User.Read'

export const testKeys = ['test key one: 0123456789abcdef', 'test key two: fedcba9876543210']

/** Lines of the log, each as one object. */
export type Logs = Record<string, unknown>[]

/** A logger that keeps its lines in `logs`. */
export function logInto(logs: Logs): Logger {
  const keep = (fields: object, message: string) => void logs.push({ message, ...fields })
  return { info: keep, warn: keep, error: keep }
}

export function notesScopes(clientId: string) {
  return entraScopes({
    clientId,
    required: ['notes.read'],
    optional: ['notes.write'],
    implies: { 'notes.write': ['notes.read'] },
    additional: [userRead],
    descriptions: { 'notes.read': 'Read your notes' },
  })
}

/** Options of a server that trusts this Entra. */
export function authOptions(
  entra: Entra,
  baseUrl: string,
  logs: Logs,
  options: Partial<EntraAuthOptions> = {},
): EntraAuthOptions {
  const { clientId, secrets } = entra.app
  return {
    baseUrl,
    tenantId: entra.tenant.id,
    clientId,
    credential: clientSecret(secrets[0] ?? ''),
    authorityHost: entra.url,
    scopes: notesScopes(clientId),
    keys: testKeys,
    logger: logInto(logs),
    ...options,
  }
}
