/** Somebody has the whole Redis, or even Redis and the server's keys: without a live token it is all noise. */
import { afterEach, expect, it } from '@jest/globals'
import { createClient, RESP_TYPES } from 'redis'
import { sha256 } from '../../../lib/crypto/hashing.js'
import { keyRing } from '../../../lib/crypto/key-ring.js'
import { open } from '../../../lib/crypto/sealing.js'
import { redisStorage } from '../../../lib/storage/redis.js'
import { vault } from '../../../lib/storage/vault.js'
import { testKeys } from '../../support/host.js'
import {
  addNote,
  callMcp,
  getCode,
  getNotes,
  login,
  postForm,
  redeem,
  refresh,
  register,
  type Tokens,
  toolText,
} from '../../support/oauth-client.js'
import { describeWithRedis, redisForTests } from '../../support/redis-server.js'
import { startReplicas } from '../../support/replicas.js'

const prefix = `stolen-${process.pid}:`
const [oldKey, newKey] = testKeys as [string, string]

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(keys: readonly string[] = testKeys) {
  const redis = await redisForTests()
  closing.push(() => redis.close())
  const storage = redisStorage({ url: redis.url }, { prefix, deadline: 5 })
  closing.push(() => storage.close())
  const world = await startReplicas([storage], { keys, rememberUnverified: true })
  closing.push(() => world.close())
  return { redis, storage, world, url: world.all[0]?.url ?? '' }
}

/** Every record there is. */
async function dump(url: string): Promise<Map<string, Buffer>> {
  const client = createClient({ url })
  await client.connect()
  const binary = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer })
  const records = new Map<string, Buffer>()
  for await (const keys of client.scanIterator({ MATCH: `${prefix}*` })) {
    for (const key of keys) records.set(key, (await binary.get(key)) as Buffer)
  }
  client.destroy()
  return records
}

describeWithRedis('a stolen store', () => {
  it('holds nothing of a login: no token, code, verifier, name, id, secret or scope', async () => {
    const { redis, storage, world, url } = await start()
    const seen = new Map<string, Buffer>()
    const steal = async () => {
      for (const [key, value] of await dump(redis.url)) seen.set(`${key}\n${seen.size}`, value)
    }

    const code = await getCode(url, { scope: 'notes.read notes.write' })
    await steal()
    const tokens = (await (await redeem(url, code)).json()) as Tokens
    await steal()
    expect((await addNote(url, tokens.access_token, 'a note')).status).toBe(201)
    const profile = { name: 'my_profile', arguments: {} }
    await toolText(await callMcp(url, tokens.access_token, 'tools/call', profile))
    const narrow = await login(url, { clientId: code.clientId })
    expect((await addNote(url, narrow.access_token, 'not allowed')).status).toBe(403)
    const renewed = (await (await refresh(url, { ...tokens, ...code })).json()) as Tokens
    await steal()
    for (const token of [renewed.access_token, renewed.refresh_token]) {
      await postForm(`${url}/revoke`, { token, client_id: code.clientId })
      await steal()
    }

    const names = [...seen.keys()].map((key) => key.slice(prefix.length).split(':', 1)[0])
    expect([...new Set(names)].sort()).toEqual(
      [
        'code',
        'connected-apps',
        'consent',
        'grant',
        'news',
        'refresh-answer',
        'revoked',
        'revoked-token',
        'session',
        'spent-code',
        'step-up',
      ].sort(),
    )
    const ada = world.entra.user('ada@contoso.example')
    const claims = JSON.parse(
      Buffer.from(tokens.access_token.split('.')[1] ?? '', 'base64url').toString(),
    ) as Record<string, string>
    const secrets = [
      ...[tokens, narrow, renewed].flatMap((t) => [t.access_token, t.refresh_token]),
      ...tokens.access_token.split('.'),
      ...[code.code, code.verifier, code.clientId, claims.sid, claims.sub, claims.jti],
      ...[ada.oid, ada.username, ada.name, 'contoso', world.entra.tenant.id],
      ...[world.entra.app.clientId, ...(world.entra.app.secrets ?? []), ...testKeys],
      ...['notes.read', 'notes.write', 'User.Read', 'accessToken', '127.0.0.1', 'eyJ'],
    ].map(String)
    for (const [key, value] of seen) {
      for (const text of [key, value.toString('latin1'), value.toString('base64url')]) {
        // The random bytes of a record may spell three letters.
        const found = secrets.filter((secret) => secret.length > 4 && text.includes(secret))
        expect([key, found]).toEqual([key, []])
      }
    }

    // With the server's keys, but no token: nothing opens. With a token its grant does.
    const ring = keyRing(testKeys)
    for (const [name, value] of seen) {
      const key = name.slice(prefix.length).split('\n', 1)[0] as string
      const kind = key.split(':', 1)[0]
      const guesses = ['', key, sha256(key), ada.oid, world.entra.app.clientId, ...testKeys]
      for (const secret of guesses) {
        const context = { purpose: `vault ${kind}`, boundTo: key, secret }
        expect(open(ring, context, value)).toBeUndefined()
      }
      expect(open(ring, { purpose: `vault ${kind}`, boundTo: key }, value)).toBeUndefined()
    }
    const live = await login(url)
    const { sid } = JSON.parse(
      Buffer.from(live.access_token.split('.')[1] ?? '', 'base64url').toString(),
    ) as { sid: string }
    const grant = await vault(storage, ring).shelf<{ user: object }>('grant').get(sid)
    expect(grant?.value.user).toMatchObject({ oid: ada.oid })
  })
})

describeWithRedis('key rotation', () => {
  it('a new first key: logins of the old one go on', async () => {
    const { storage, world, url } = await start([oldKey])
    const tokens = await login(url)
    const { url: rotated } = await world.add(storage, { keys: [newKey, oldKey] })
    expect((await getNotes(rotated, tokens.access_token)).status).toBe(200)
    const answer = await refresh(rotated, tokens)
    expect(answer.status).toBe(200)
    const renewed = (await answer.json()) as Tokens
    expect((await getNotes(rotated, renewed.access_token)).status).toBe(200)
    // A replica that has not been told yet cannot read what the new key sealed: a user asked to sign in, no error.
    expect((await getNotes(url, renewed.access_token)).status).toBe(401)
  })

  it('a removed key: its logins end with invalid_grant, its access tokens with invalid_token', async () => {
    const { storage, world, url } = await start([oldKey, newKey])
    const { url: rotated } = await world.add(storage, { keys: [newKey, oldKey] })
    const clientId = await register(rotated)
    const tokens = await login(url, { clientId })
    const { url: removed } = await world.add(storage, { keys: [newKey] })
    const refused = await refresh(removed, tokens)
    expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([
      400,
      'invalid_grant',
    ])
    const gate = await getNotes(removed, tokens.access_token)
    expect(gate.status).toBe(401)
    expect(gate.headers.get('www-authenticate')).toContain('error="invalid_token"')
    const anew = await login(removed, { clientId })
    expect((await getNotes(removed, anew.access_token)).status).toBe(200)
  })

  it('a removed key that sealed the client id as well: invalid_client, so that clients register again', async () => {
    const { storage, world, url } = await start([oldKey])
    const tokens = await login(url)
    const { url: removed } = await world.add(storage, { keys: [newKey] })
    const refused = await refresh(removed, tokens)
    expect([refused.status, ((await refused.json()) as { error: string }).error]).toEqual([
      401,
      'invalid_client',
    ])
  })
})
