/** Makes of the facts at hand what an event shows: hashes, pseudonyms and hosts instead of ids and addresses. */
import { createHmac } from 'node:crypto'
import { sha256 } from '../crypto/hashing.js'
import type { RingKey } from '../crypto/key-ring.js'
import type { ClientFacts, EventFacts } from '../http/event-facts.js'
import type { EventClient, EventUser } from '../http/events.js'
import { documentHostOf } from '../oauth/client-id-url.js'
import { staysOnDevice } from '../oauth/redirect-uri.js'
import type { Client } from './clients.js'
import { grantId } from './grant-id.js'
import type { Grant } from './records.js'

/** Options of {@link eventSubjects}. */
export interface EventSubjectsOptions {
  /** Finds a client that needs no fetching: one that the operator set up, or that registered itself. */
  readonly findClient: (id: string) => Client | undefined
  /** Names users by pseudonyms made under this key. Without it by their ids. */
  readonly pseudonymKey?: RingKey | undefined
}

/** What a login in the store says about an event. @param clientId the client's own id, where it is at hand */
export function grantFacts(sid: string, grant: Grant, clientId?: string): EventFacts {
  const { user, client: hash, scopes, resource } = grant
  return { user, client: { id: clientId, hash }, sid, scopes, resource }
}

/** Makes the function that says what an event shows of the facts. It costs some hashes. */
export function eventSubjects({ findClient, pseudonymKey }: EventSubjectsOptions) {
  const describeUser = ({ tid, oid }: NonNullable<EventFacts['user']>): EventUser =>
    pseudonymKey ? { pseudonym: pseudonymOf(pseudonymKey, `${tid}\n${oid}`) } : { tid, oid }
  return function describeFacts(facts: EventFacts) {
    const { user, client, agent, sid, scopes, resource, tools = [], trace = {}, reference } = facts
    const [tool, ...otherTools] = tools
    return {
      user: user && describeUser(user),
      client: client && describeClient(client, findClient),
      agent,
      grant: sid === undefined ? undefined : grantId(sid),
      scopes,
      resource,
      tool: otherTools.length > 0 ? tools : tool,
      correlationId: trace.correlationId,
      traceId: trace.traceId,
      reference,
    }
  }
}

/** Nobody who lacks the key can find out whether a pseudonym is that of a user he knows. */
function pseudonymOf(key: RingKey, user: string): string {
  return createHmac('sha256', key.derive('event pseudonym')).update(user).digest('base64url')
}

function describeClient(
  { id = '', hash, host, redirectUri, onDevice }: ClientFacts,
  findClient: EventSubjectsOptions['findClient'],
): EventClient | undefined {
  const shown = hash ?? (id === '' ? undefined : sha256(id))
  if (shown === undefined) return undefined
  const publisher = host ?? documentHostOf(id)
  if (publisher !== undefined) return { id: shown, host: publisher }
  if (onDevice) return { id: shown, onDevice }
  const address = redirectUri ?? (id === '' ? undefined : registeredAddress(findClient(id)))
  return { id: shown, ...(address !== undefined && placeOf(address)) }
}

/** The first redirect URI that leaves the device, if there is one. */
function registeredAddress(client: Client | undefined): string | undefined {
  const all = client?.metadata.redirect_uris ?? []
  return all.find((uri) => !staysOnDevice(uri)) ?? all[0]
}

function placeOf(redirectUri: string): Pick<EventClient, 'host' | 'onDevice'> {
  return staysOnDevice(redirectUri) ? { onDevice: true } : { host: new URL(redirectUri).host }
}
