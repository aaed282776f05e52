/**
 * The apps that a user has let in: an index of their logins, for people to see and to end. It is written only for a
 * user who has just come back from Entra or for whom a trusted identity provider has just vouched, and once a day while
 * a login is refreshed, so that it lasts as long as the grants. Nothing depends on it: what is missing here works all the same, and ends all the same.
 */
import { boundedMap } from '../async/bounded-map.js'
import type { Clock } from '../async/clock.js'
import type { EventFacts } from '../http/event-facts.js'
import { staysOnDevice } from '../oauth/redirect-uri.js'
import type { Vault } from '../storage/vault.js'
import type { Client } from './clients.js'
import type { CutOffs } from './cut-offs.js'
import { grantFacts } from './event-subject.js'
import { grantLocks } from './grant-locks.js'
import type { Grants } from './grants.js'
import type { Lifetimes } from './lifetimes.js'
import type { Grant } from './records.js'

/** A user, by the two ids that never change. */
export interface UserId {
  readonly tid: string
  readonly oid: string
}

/** An app that holds a user's access. */
export interface ConnectedApp {
  /** Opaque: tells the apps of one user apart. */
  readonly id: string
  /** As the client names itself. */
  readonly name?: string
  /** The host that publishes the app, or that its sign-ins go to. Absent for an app on the user's device. */
  readonly host?: string
  /** Whether somebody vouches for the name. */
  readonly verified: boolean
  /** Who does: the operator, or the host by a metadata document. */
  readonly verifiedBy?: 'operator' | 'document'
  /** Short names: what all of its logins together may do. */
  readonly scopes: readonly string[]
  /** Scopes of downstream APIs that this server uses on the user's behalf. */
  readonly downstream: readonly string[]
  /** Seconds since the epoch. */
  readonly firstUsedAt: number
  /** To the hour: seconds since the epoch. */
  readonly lastUsedAt: number
  /** Logins of this app that are active. */
  readonly logins: number
}

/** An app whose access has been ended. */
export interface EndedApp {
  /** SHA-256 of the client id. */
  readonly hash: string
  /** Absent for an app on the user's device. */
  readonly host?: string
}

/** The apps of all users. */
export interface ConnectedApps {
  /** Notes a login that has just begun, or was renewed. A failure is reported, and costs nobody a login. */
  record(sid: string, grant: Grant, client: Client): Promise<void>
  /** Notes that the user of such a login has now signed in at Entra as well. A failure is reported. */
  noteSignIn(sid: string, grant: Grant): Promise<void>
  /** Notes that a login is in use: at most once an hour for each process. Never throws. */
  noteUse(sid: string, grant: Grant): void
  /** The apps with an active login, the last used first. @throws OAuthError 503 */
  list(user: UserId): Promise<readonly ConnectedApp[]>
  /** Ends all logins of one app of the user. @returns undefined when the user has no such app @throws OAuthError 503 */
  revoke(user: UserId, appId: string): Promise<EndedApp | undefined>
  /** Ends all logins of the user, those that the index does not know too. @throws OAuthError 503 */
  revokeAll(user: UserId): Promise<void>
}

/** What the index needs. */
export interface ConnectedAppsOptions {
  readonly vault: Vault
  readonly grants: Grants
  readonly cutOffs: CutOffs
  readonly lifetimes: Lifetimes
  /** The downstream access of every login. */
  readonly downstream: readonly string[]
  readonly now: Clock
  /** Hears of a login that could not be noted, or not be taken off. */
  readonly onFailure: (error: unknown, facts: EventFacts) => void
}

/** One login in the index. Its grant is named as in the store: that opens nothing. */
interface KnownLogin {
  readonly grant: string
  readonly scopes: readonly string[]
  /** Seconds since the epoch. */
  readonly createdAt: number
  /** When it ends, if an identity provider has let the app in: seconds since the epoch. */
  readonly endsAt?: number
  /** Whether its user has signed in at Entra since then: without that it has no access downstream. */
  readonly signedIn?: true
}

interface KnownApp {
  /** SHA-256 of the client id. */
  readonly client: string
  readonly name?: string
  readonly host?: string
  readonly verifiedBy?: 'operator' | 'document'
  readonly downstream: readonly string[]
  readonly firstUsedAt: number
  /** When a login was last noted: seconds since the epoch. */
  readonly notedAt: number
  readonly logins: readonly KnownLogin[]
}

/** Apps of one user, and logins of one app, that are kept: beyond it, those not noted for longest leave. */
const mostApps = 50
const mostLogins = 20
const hour = 3600
/** Grants of which this process remembers the last hour it has noted. */
const mostNoted = 10_000
/** Milliseconds to wait for another login of the same user to be noted. */
const patience = 2000

/**
 * The index of a user is sealed under the key ring and the user. It holds no `sid`, so that even with the keys it opens
 * no grant. An app is ended by a cut-off, which also ends logins of it that the index does not know.
 */
export function connectedApps(options: ConnectedAppsOptions): ConnectedApps {
  const { vault, grants, cutOffs, lifetimes, downstream, now, onFailure } = options
  const index = vault.shelf<readonly KnownApp[]>('connected-apps')
  const uses = vault.notes('use')
  const exclusively = grantLocks(vault, { patience })
  const noted = boundedMap<number>({ maxEntries: mostNoted })
  const seconds = () => now() / 1000

  const read = async (user: UserId) => (await index.get(nameOf(user)))?.value ?? []

  const edit = (user: UserId, change: (apps: readonly KnownApp[]) => readonly KnownApp[]) =>
    exclusively(`connected apps of ${nameOf(user)}`, async () => {
      const before = await read(user)
      const after = change(before)
      if (after.length > 0) await index.set(nameOf(user), after, lifetimes.grant)
      else if (before.length > 0) await index.remove(nameOf(user))
    })

  const isActive = async (user: UserId, client: string, login: KnownLogin) =>
    (await grants.hasNamed(login.grant)) &&
    !(await cutOffs.isOver({ ...user, client, at: login.createdAt }))

  const lastUseOf = async ({ grant, createdAt }: KnownLogin) =>
    Math.max(startOfHour(createdAt), Number(await uses.get(grant)) || 0)

  const look = async (user: UserId, app: KnownApp): Promise<ConnectedApp | undefined> => {
    const active = await filterAsync(app.logins, (login) => isActive(user, app.client, login))
    if (active.length === 0) return undefined
    const { client: id, name, host, verifiedBy, firstUsedAt } = app
    return {
      id,
      ...(name !== undefined && { name }),
      ...(host !== undefined && { host }),
      verified: verifiedBy !== undefined,
      ...(verifiedBy !== undefined && { verifiedBy }),
      scopes: [...new Set(active.flatMap(({ scopes }) => scopes))],
      downstream: active.some(hasSignedIn) ? app.downstream : [],
      firstUsedAt,
      lastUsedAt: Math.max(...(await Promise.all(active.map(lastUseOf)))),
      logins: active.length,
    }
  }

  /**
   * Forgets logins that have been cut off, and Entra's tokens in their grants, which are of no use to anybody. A login
   * that has begun since then goes on, so it stays in the list. The list leaves out what has ended anyway, so an edit that
   * fails, perhaps because a login is being noted, is for the operator alone to hear of.
   */
  const forget = async (user: UserId, ended: readonly KnownApp[]) => {
    const names = new Set(ended.flatMap(({ logins }) => logins.map(({ grant }) => grant)))
    await Promise.all([...names].map((name) => grants.removeNamed(name)))
    await edit(user, (apps) => withoutLogins(apps, names)).catch((error: unknown) =>
      onFailure(error, { user }),
    )
  }

  return Object.freeze({
    async record(sid: string, grant: Grant, client: Client) {
      try {
        const login = {
          grant: grants.nameOf(sid),
          scopes: grant.scopes,
          createdAt: grant.createdAt,
          ...(grant.endsAt !== undefined && { endsAt: grant.endsAt }),
        }
        const seen = { ...describe(client), client: grant.client, downstream, notedAt: seconds() }
        await edit(grant.user, (apps) => withLogin(apps, seen, login))
      } catch (error) {
        onFailure(error, grantFacts(sid, grant, client.id))
      }
    },
    async noteSignIn(sid: string, grant: Grant) {
      const name = grants.nameOf(sid)
      const noteIn = (app: KnownApp): KnownApp => ({
        ...app,
        logins: app.logins.map((login) =>
          login.grant === name ? { ...login, signedIn: true } : login,
        ),
      })
      await edit(grant.user, (apps) => apps.map(noteIn)).catch((error: unknown) =>
        onFailure(error, grantFacts(sid, grant)),
      )
    },
    noteUse(sid: string, grant: Grant) {
      const thisHour = startOfHour(seconds())
      const name = grants.nameOf(sid)
      if (startOfHour(grant.createdAt) === thisHour || noted.get(name) === thisHour) return
      noted.set(name, thisHour)
      uses
        .set(name, String(thisHour), grants.remaining(grant))
        .catch((error: unknown) => onFailure(error, grantFacts(sid, grant)))
    },
    async list(user: UserId) {
      const apps = await Promise.all((await read(user)).map((app) => look(user, app)))
      return apps
        .filter((app) => app !== undefined)
        .sort((a, b) => b.lastUsedAt - a.lastUsedAt || b.firstUsedAt - a.firstUsedAt)
    },
    async revoke(user: UserId, appId: string) {
      const app = (await read(user)).find(({ client }) => client === appId)
      if (!app) return undefined
      await cutOffs.record({ tid: user.tid, oid: user.oid, client: app.client })
      await forget(user, [app])
      return { hash: app.client, ...(app.host !== undefined && { host: app.host }) }
    },
    async revokeAll(user: UserId) {
      const before = await read(user)
      await cutOffs.record({ tid: user.tid, oid: user.oid })
      await forget(user, before)
    },
  })
}

/** What an identity provider lets in has no access downstream until its user has signed in. */
function hasSignedIn({ endsAt, signedIn }: KnownLogin): boolean {
  return endsAt === undefined || signedIn === true
}

/** Adds a login to its app, or the app to the index, and drops what has not been noted for longest. */
function withLogin(
  apps: readonly KnownApp[],
  seen: Omit<KnownApp, 'firstUsedAt' | 'logins'>,
  login: KnownLogin,
): readonly KnownApp[] {
  const known = apps.find(({ client }) => client === seen.client)
  const others = apps.filter((app) => app !== known)
  // Those that have ended by themselves leave first: an app that is let in every hour must not push out the others.
  const earlier =
    known?.logins.filter(
      ({ grant, endsAt = Number.POSITIVE_INFINITY }) =>
        grant !== login.grant && endsAt > seen.notedAt,
    ) ?? []
  const app = {
    ...seen,
    firstUsedAt: known?.firstUsedAt ?? login.createdAt,
    logins: [...earlier, login].slice(-mostLogins),
  }
  const byAge = [...others].sort((a, b) => a.notedAt - b.notedAt)
  return [...byAge, app].slice(-mostApps)
}

/** Drops logins, by the names of their grants, and the apps that have none left. */
function withoutLogins(apps: readonly KnownApp[], names: ReadonlySet<string>): readonly KnownApp[] {
  return apps
    .map((app) => ({ ...app, logins: app.logins.filter(({ grant }) => !names.has(grant)) }))
    .filter(({ logins }) => logins.length > 0)
}

/** What a client is to a person: its name, and the host behind it. */
function describe({ metadata, identity }: Client): Pick<KnownApp, 'name' | 'host' | 'verifiedBy'> {
  const name = metadata.client_name
  const host = identity?.by === 'document' ? identity.host : hostOf(metadata.redirect_uris)
  return {
    ...(name !== undefined && { name }),
    ...(host !== undefined && { host }),
    ...(identity && { verifiedBy: identity.by }),
  }
}

function hostOf(redirectUris: readonly string[]): string | undefined {
  const address = redirectUris.find((uri) => !staysOnDevice(uri))
  return address === undefined ? undefined : new URL(address).host
}

function startOfHour(seconds: number): number {
  return Math.floor(seconds / hour) * hour
}

function nameOf({ tid, oid }: UserId): string {
  return `${tid}\n${oid}`
}

async function filterAsync<T>(
  items: readonly T[],
  test: (item: T) => Promise<boolean>,
): Promise<readonly T[]> {
  const passed = await Promise.all(items.map(test))
  return items.filter((_item, at) => passed[at])
}
