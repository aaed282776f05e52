/** The store: whether it answers, takes writes, and keeps what it is given. */
import { randomUUID } from 'node:crypto'
import { withinDeadline } from '../../async/deadline.js'
import { warnOfEviction } from '../../storage/redis-advice.js'
import { ownClient, type RedisCommands } from '../../storage/redis-client.js'
import { Late, reason } from '../../storage/redis-outage.js'
import { type Finding, failure, ok, warning } from './finding.js'

/** Seconds for one operation. */
const deadline = 5

/** @param url `REDIS_URL`; its password is never shown */
export async function checkRedis(url: string): Promise<readonly Finding[]> {
  if (!/^rediss?:\/\//.test(url) || !URL.canParse(url)) {
    return [
      failure(
        'storage',
        'REDIS_URL is not a redis:// or rediss:// URL',
        'such as rediss://:password@host:6380',
      ),
    ]
  }
  const { host } = new URL(url)
  const source = ownClient(url, deadline * 1000)
  const late = () => new Late(`no answer within ${deadline} s`)
  try {
    const redis = await withinDeadline(deadline, late, () => source.ready())
    await withinDeadline(deadline, late, () => writeAndRead(redis))
    return [ok('storage', `Redis at ${host} answers and takes writes`), ...(await advise(redis))]
  } catch (error) {
    const why = reason(error)
    if (/npm i redis/.test(why)) return [failure('storage', why, 'npm i redis')]
    const says = `Redis at ${host}: ${why}: users get 503 until it works`
    return [
      failure(
        'storage',
        says,
        'compare host, port, TLS (rediss://) and password of REDIS_URL, and the firewall',
      ),
    ]
  } finally {
    await source.close()
  }
}

/** One record, gone at once. */
async function writeAndRead(redis: RedisCommands): Promise<void> {
  const key = `mcp-entra:doctor:${randomUUID()}`
  await redis.set(key, Buffer.from('doctor'), { EX: 10 })
  await redis.get(key)
  await redis.eval("return redis.call('DEL',KEYS[1])", { keys: [key] })
}

async function advise(redis: RedisCommands): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  await warnOfEviction(redis, (message) =>
    findings.push(
      failure(
        'eviction',
        message.replace(/^redisStorage: /, '').split('. ')[0] ?? message,
        'CONFIG SET maxmemory-policy noeviction, or a Redis of its own',
      ),
    ),
  )
  // Managed services may forbid INFO: then there is no advice.
  const info = String(await redis.info('persistence').catch(() => ''))
  if (/^aof_enabled:0/m.test(info)) {
    findings.push(
      warning(
        'persistence',
        'there is no append-only file: a crash of Redis loses the logins since its last snapshot',
        'appendonly yes, appendfsync everysec',
      ),
    )
  }
  return findings
}
