/** The index of connected apps: what it shows, how it is bounded, and that nothing depends on it. */
import { describe, expect, it } from '@jest/globals'
import { vault } from '../../lib/storage/vault.js'
import type { Client } from '../../lib/tokens/clients.js'
import { type ConnectedApps, connectedApps } from '../../lib/tokens/connected-apps.js'
import { grantLocks } from '../../lib/tokens/grant-locks.js'
import { lifetimes } from '../../lib/tokens/lifetimes.js'
import type { Grant } from '../../lib/tokens/records.js'
import { login, loginGrant, ring, start, world } from '../support/replica.js'

const user = { tid: loginGrant.user.tid, oid: loginGrant.user.oid }
const hour = 3600
const ended = { hash: 'hash of notes', host: 'notes.example' }

function client(name: string, more: Partial<Client> = {}): Client {
  return {
    id: `client-${name}`,
    issuedAt: 0,
    metadata: {
      client_name: name,
      redirect_uris: [`https://${name}.example/callback`],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      application_type: 'web',
    },
    ...more,
  }
}

function office() {
  const { clock, storage, replica } = world()
  const failures: unknown[] = []
  const one = replica()
  const apps = (store = storage as Parameters<typeof vault>[0], cutOffs = one.cutOffs) =>
    connectedApps({
      vault: vault(store, ring),
      grants: one.grants,
      cutOffs,
      lifetimes: lifetimes(),
      downstream: ['https://graph.microsoft.com/User.Read'],
      now: () => clock.now,
      onFailure: (error) => failures.push(error),
    })
  const connect = async (name: string, more: Partial<Grant> = {}) => {
    const grant: Grant = {
      ...loginGrant,
      client: `hash of ${name}`,
      createdAt: clock.now / 1000,
      renewedAt: clock.now / 1000,
      ...more,
    }
    const { sid } = await login(one, grant)
    await apps().record(sid, grant, client(name))
    return { sid, grant }
  }
  return { clock, failures, one, grants: one.grants, apps, connect, storage }
}

describe('the list of connected apps', () => {
  it('shows an app with all its logins together', async () => {
    const { apps, connect, clock } = office()
    await connect('notes')
    clock.now += 2 * hour * 1000
    await connect('notes', { scopes: ['notes.read', 'notes.write'] })
    expect(await apps().list(user)).toEqual([
      {
        id: 'hash of notes',
        name: 'notes',
        host: 'notes.example',
        verified: false,
        scopes: ['notes.read', 'notes.write'],
        downstream: ['https://graph.microsoft.com/User.Read'],
        firstUsedAt: start / 1000,
        lastUsedAt: start / 1000 + 2 * hour,
        logins: 2,
      },
    ])
  })

  it('says who vouches for the name, and names no host for an app on the device', async () => {
    const { apps, one, clock } = office()
    const kinds: [string, Partial<Client>][] = [
      ['published', { identity: { by: 'document', host: 'apps.example', listed: false } }],
      ['known', { identity: { by: 'operator' } }],
      ['local', { metadata: { ...client('x').metadata, redirect_uris: ['http://127.0.0.1/cb'] } }],
    ]
    for (const [name, more] of kinds) {
      clock.now += 1000
      const grant = { ...loginGrant, client: name, createdAt: clock.now / 1000 }
      const { sid } = await login(one, grant)
      await apps().record(sid, grant, client(name, more))
    }
    const listed = await apps().list(user)
    expect(listed.map(({ id, host, verifiedBy }) => ({ id, host, verifiedBy }))).toEqual([
      { id: 'local', host: undefined, verifiedBy: undefined },
      { id: 'known', host: 'known.example', verifiedBy: 'operator' },
      { id: 'published', host: 'apps.example', verifiedBy: 'document' },
    ])
  })

  it('shows the last use to the hour, noted once for many uses', async () => {
    const { apps, connect, clock } = office()
    const { sid, grant } = await connect('notes')
    clock.now += 5 * hour * 1000 + 1234
    const one = apps()
    for (let use = 0; use < 10; use += 1) one.noteUse(sid, grant)
    expect(await one.list(user)).toMatchObject([{ lastUsedAt: start / 1000 + 5 * hour }])
  })

  it('leaves out a login that has ended, however it ended, and an app without logins', async () => {
    const { apps, connect, grants, clock } = office()
    const first = await connect('notes')
    await connect('notes')
    await grants.revoke(first.sid)
    expect(await apps().list(user)).toMatchObject([{ logins: 1 }])
    clock.now += 91 * 24 * hour * 1000
    expect(await apps().list(user)).toEqual([])
  })

  it("is the user's own", async () => {
    const { apps, connect } = office()
    await connect('notes')
    expect(await apps().list({ ...user, oid: 'oid-bob' })).toEqual([])
    expect(await apps().list({ ...user, tid: 'tid-fabrikam' })).toEqual([])
    expect(await apps().revoke({ ...user, oid: 'oid-bob' }, 'hash of notes')).toBeUndefined()
    expect(await apps().list(user)).toHaveLength(1)
  })
})

describe('an app that an identity provider lets in every hour', () => {
  const letIn = async ({ apps, one, clock }: ReturnType<typeof office>) => {
    const { upstream: _none, ...grant } = loginGrant
    const at = clock.now / 1000
    const times = { createdAt: at, renewedAt: at, endsAt: at + hour }
    const asserted = {
      ...grant,
      ...times,
      client: 'hash of notes',
      assertedBy: 'https://idp.example',
    }
    const { sid } = await login(one, asserted)
    await apps().record(sid, asserted, client('notes'))
  }

  it('pushes out none of its logins at Entra, and is gone an hour after the last', async () => {
    const world = office()
    const { apps, connect, clock } = world
    await connect('notes')
    for (let n = 0; n < 30; n++) {
      await letIn(world)
      clock.now += hour * 1000
    }
    expect(await apps().list(user)).toMatchObject([{ logins: 1 }])
    await letIn(world)
    expect(await apps().list(user)).toMatchObject([{ logins: 2 }])
  })

  it('has no access downstream, until its user signs in at Entra', async () => {
    const world = office()
    await letIn(world)
    expect(await world.apps().list(user)).toMatchObject([{ downstream: [], logins: 1 }])
    await world.connect('notes')
    expect(await world.apps().list(user)).toMatchObject([
      { downstream: ['https://graph.microsoft.com/User.Read'], logins: 2 },
    ])
    world.clock.now += (hour + 1) * 1000
    await world.apps().revoke(user, 'hash of notes')
    expect(await world.apps().list(user)).toEqual([])
  })
})

describe('ending an app', () => {
  it('ends its logins, those that the index does not know too, and no other app', async () => {
    const { apps, connect, one, grants, clock } = office()
    const known = await connect('notes')
    const other = await connect('calendar')
    const unknown = await login(one, known.grant)
    expect(await apps().revoke(user, 'hash of notes')).toEqual(ended)
    expect(await grants.read(known.sid)).toBeUndefined()
    expect(await grants.read(unknown.sid)).toBeUndefined()
    expect(await grants.read(other.sid)).toBeDefined()
    expect(await apps().list(user)).toMatchObject([{ id: 'hash of calendar' }])
    clock.now += 1000
    await connect('notes')
    expect(await apps().list(user)).toHaveLength(2)
  })

  it('may be said twice', async () => {
    const { apps, connect } = office()
    await connect('notes')
    expect(await apps().revoke(user, 'hash of notes')).toEqual(ended)
    expect(await apps().revoke(user, 'hash of notes')).toBeUndefined()
    await apps().revokeAll(user)
    await apps().revokeAll(user)
    expect(await apps().list(user)).toEqual([])
  })

  it.each([
    ['one app', (apps: ConnectedApps) => apps.revoke(user, 'hash of notes')],
    ['all apps', (apps: ConnectedApps) => apps.revokeAll(user)],
  ])('leaves a login that begins meanwhile, and lists it (%s)', async (_what, end) => {
    const { apps, connect, one, grants, clock } = office()
    const before = await connect('notes')
    let meanwhile: Awaited<ReturnType<typeof connect>> | undefined
    await end(
      apps(undefined, {
        ...one.cutOffs,
        async record(cutOff) {
          await one.cutOffs.record(cutOff)
          clock.now += 1000
          meanwhile = await connect('notes')
        },
      }),
    )
    expect(await grants.read(before.sid)).toBeUndefined()
    expect(await grants.read(meanwhile?.sid ?? '')).toBeDefined()
    expect(await apps().list(user)).toMatchObject([{ id: 'hash of notes', logins: 1 }])
  })

  it('deletes the grants that the index knows: nobody needs the tokens in them any more', async () => {
    const { apps, connect, grants } = office()
    const { sid } = await connect('notes')
    await apps().revokeAll(user)
    expect(await grants.hasNamed(grants.nameOf(sid))).toBe(false)
  })
})

describe('the bounds of the index', () => {
  it('are 50 apps, of which those leave that were noted longest ago, and 20 logins of each', async () => {
    const { apps, connect, clock } = office()
    for (let count = 0; count < 55; count += 1) {
      clock.now += 1000
      await connect(`app ${count}`.replace(' ', '-'))
      if (count === 30) for (let more = 0; more < 25; more += 1) await connect('app-0')
    }
    const listed = await apps().list(user)
    expect(listed).toHaveLength(50)
    expect(listed.find(({ id }) => id === 'hash of app-0')?.logins).toBe(20)
    expect(listed.some(({ id }) => id === 'hash of app-5')).toBe(false)
    expect(listed.some(({ id }) => id === 'hash of app-6')).toBe(true)
  })

  it('keep every one of many logins at the same time', async () => {
    const { apps, connect } = office()
    await Promise.all(Array.from({ length: 15 }, (_item, count) => connect(`app-${count}`)))
    expect(await apps().list(user)).toHaveLength(15)
  })

  it('let the index live as long as a login that is refreshed', async () => {
    const { apps, connect, grants, clock } = office()
    const { sid, grant } = await connect('notes')
    for (let month = 0; month < 6; month += 1) {
      clock.now += 60 * 24 * hour * 1000
      await grants.keep(sid, { ...grant, renewedAt: clock.now / 1000 })
      await apps().record(sid, grant, client('notes'))
    }
    expect(await apps().list(user)).toMatchObject([{ logins: 1, firstUsedAt: start / 1000 }])
  })
})

describe('a store that fails', () => {
  it('costs nobody a login', async () => {
    const { apps, connect, failures } = office()
    const { sid, grant } = await connect('notes')
    const away = async () => {
      throw new Error('away')
    }
    const without = apps({ get: away, set: away, add: away, take: away })
    await without.record(sid, grant, client('notes'))
    expect(failures).toHaveLength(1)
    await expect(without.list(user)).rejects.toMatchObject({ status: 503 })
    await expect(without.revokeAll(user)).rejects.toMatchObject({ status: 503 })
  })
})

describe('a login that is being noted for longer than anybody waits', () => {
  it.each<['revoke' | 'revokeAll', unknown]>([
    ['revoke', ended],
    ['revokeAll', undefined],
  ])('keeps nobody from ending access: %s', async (operation, answer) => {
    const { apps, connect, failures, grants, storage } = office()
    const { sid } = await connect('notes')
    const locks = grantLocks(vault(storage, ring))
    await locks(`connected apps of ${user.tid}\n${user.oid}`, async () => {
      expect(await apps()[operation](user, 'hash of notes')).toEqual(answer)
    })
    expect(await grants.read(sid)).toBeUndefined()
    expect(await apps().list(user)).toEqual([])
    expect(failures).toHaveLength(1)
  })
})
