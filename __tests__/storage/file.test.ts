/** The storage contract on the file storage, and what is its own: crashes, processes, space, errors. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, describe, expect, it, jest } from '@jest/globals'
import { describeStorage } from 'mcp-entra/testing'
import { type FileStorage, fileStorage } from '../../lib/storage/file.js'
import { networkFileSystem } from '../../lib/storage/file-directory.js'
import { counts, temporaryDirectories } from '../support/file-store.js'
import { describeNeeding } from '../support/needs.js'

const directories = temporaryDirectories()
const open: FileStorage[] = []
const bytes = (text: string) => new TextEncoder().encode(text)
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

afterEach(async () => {
  jest.useRealTimers()
  await Promise.all(open.splice(0).map((storage) => storage.close()))
})
afterAll(() => directories.remove())

/** A file storage whose clock the test sets. */
function clocked(path = directories.make(), more: { maxValueBytes?: number } = {}) {
  const clock = { now: 1_800_000_000_000 }
  const storage = fileStorage({ path, now: () => clock.now, ...more })
  open.push(storage)
  return { storage, clock, path }
}

process.env.FILE_STORAGE_PATH = directories.make()
describeStorage(
  'fileStorage',
  () => {
    const { storage, clock } = clocked()
    return {
      storage,
      close: () => storage.close(),
      advance(seconds) {
        clock.now += seconds * 1000
      },
    }
  },
  { processes: new URL('../support/stores/file-store.mjs', import.meta.url) },
)

describe('the expiry of the file storage', () => {
  it('ends a record to the millisecond', async () => {
    const { storage, clock } = clocked()
    await storage.set('a', bytes('1'), 60)
    clock.now += 59_999
    expect(await storage.get('a')).toEqual(bytes('1'))
    clock.now += 1
    expect(await storage.get('a')).toBeUndefined()
  })

  it('drops expired records from the file with the writes of others, and only those', async () => {
    const { storage, clock, path } = clocked()
    await Promise.all(
      Array.from({ length: 40 }, (_, index) => storage.set(`short ${index}`, bytes('1'), 10)),
    )
    await storage.set('long', bytes('1'), 60)
    expect(await counts(path)).toEqual({ records: 41, expiries: 41 })
    clock.now += 10_000
    await storage.set('another', bytes('1'), 60)
    await storage.close()
    expect(await counts(path)).toEqual({ records: 2, expiries: 2 })
  })

  it('leaves no place behind when a record is set anew or taken', async () => {
    const { storage, path, clock } = clocked()
    for (let round = 0; round < 20; round += 1) {
      clock.now += 1000
      await storage.set('renewed', bytes(`${round}`), 3600)
    }
    await storage.set('taken', bytes('1'), 3600)
    await storage.take('taken')
    expect(await counts(path)).toEqual({ records: 1, expiries: 1 })
  })

  it('sweeps every 30 seconds though nobody writes, in batches until nothing expired is left', async () => {
    jest.useFakeTimers({ doNotFake: everythingBut('setInterval') })
    const { storage, clock, path } = clocked()
    await Promise.all(
      Array.from({ length: 1200 }, (_, index) => storage.set(`${index}`, bytes('1'), 10)),
    )
    await storage.set('long', bytes('1'), 3600)
    clock.now += 10_000
    jest.advanceTimersByTime(29_999)
    await sleep(50)
    expect(await counts(path)).toEqual({ records: 1201, expiries: 1201 })
    jest.advanceTimersByTime(1)
    await storage.close()
    expect(await counts(path)).toEqual({ records: 1, expiries: 1 })
  })

  it('keeps the file small while 100,000 records come and go', async () => {
    const { storage, clock, path } = clocked()
    const value = new Uint8Array(200).fill(7)
    const round = async (name: number) => {
      for (let part = 0; part < 10; part += 1) {
        await Promise.all(
          Array.from({ length: 500 }, (_, index) =>
            storage.set(`${name}:${part}:${index}`, value, 30),
          ),
        )
      }
      clock.now += 30_000
    }
    await round(0)
    const afterOne = statSync(join(path, 'data.mdb')).size
    for (let name = 1; name < 20; name += 1) await round(name)
    const afterTwenty = statSync(join(path, 'data.mdb')).size
    process.stderr.write(
      `file storage: ${afterOne} bytes after 5,000 records, ${afterTwenty} after 100,000\n`,
    )
    expect(afterTwenty).toBeLessThan(3 * afterOne)
    const { records } = await counts(path)
    expect(records).toBeLessThanOrEqual(10_000)
  }, 120_000)
})

/** jest fakes what it is not told to leave alone. */
function everythingBut(name: string) {
  const all = ['Date', 'hrtime', 'nextTick', 'performance', 'queueMicrotask', 'setImmediate']
  const timers = ['clearImmediate', 'clearInterval', 'clearTimeout', 'setInterval', 'setTimeout']
  return [...all, ...timers].filter(
    (fake) => fake !== name && fake !== name.replace('set', 'clear'),
  ) as ('Date' | 'setTimeout')[]
}

describe('the file storage after kill -9', () => {
  it('has everything two processes were told is written, round after round', async () => {
    const path = directories.make()
    const book = new Map<string, string>()
    for (let round = 0; round < 12; round += 1) {
      await writeUntilKilled(path, book, 40 + round * 60)
      const storage = fileStorage({ path })
      open.push(storage)
      for (const [key, state] of book) await expectAsBooked(storage, key, state)
      await storage.add(`after round ${round}`, bytes('1'), 3600)
      await storage.close()
    }
    const acknowledged = [...book.values()].filter((state) => /^(added|took)$/.test(state)).length
    process.stderr.write(
      `file storage: ${acknowledged} acknowledged writes after 12 kills, none lost\n`,
    )
    const held = await counts(path)
    expect(held.records).toBe(held.expiries)
  }, 120_000)
})

const traceable = spawnSync('strace', ['-o', '/dev/null', 'true']).status === 0

/** What only a power cut could show otherwise: killed processes leave their writes to the kernel. */
describeNeeding('strace', traceable)('the file storage and the disk', () => {
  it('acknowledges a write after it has been flushed (seen by strace)', async () => {
    const code = `
      import { writeSync } from 'node:fs'
      import create from ${JSON.stringify(here('../support/stores/file-store.mjs'))}
      const { storage, close } = create()
      await storage.get('a')
      for (const operation of ['add', 'set', 'take', 'add']) {
        writeSync(1, 'asked')
        await storage[operation]('a', Buffer.alloc(100), 60)
        writeSync(1, 'acknowledged')
      }
      await close()`
    const log = join(directories.make(), '..', 'trace')
    const options = ['-f', '-o', log, '-e', 'trace=write,fdatasync,openat,pwrite64']
    await run('strace', [...options, process.execPath, '--input-type=module', '-e', code])
    const lines = readFileSync(log, 'utf8').split('\n')
    // The root page goes through a descriptor of its own, whose writes are flushed each by itself.
    const root = lines
      .map((line) => /data\.mdb", O_WRONLY\|O_DSYNC.*= (\d+)/.exec(line)?.[1])
      .find(Boolean)
    expect(root).toBeDefined()
    const order = lines.flatMap((line) => {
      if (line.includes('"asked"')) return 'asked'
      if (line.includes('"acknowledged"')) return 'acknowledged'
      if (/fdatasync\(.*= 0/.test(line) || /fdatasync resumed.*= 0/.test(line)) return 'flushed'
      return line.includes(`pwrite64(${root}, `) ? 'root written' : []
    })
    const write = ['asked', 'flushed', 'root written', 'acknowledged']
    expect(order.slice(order.indexOf('asked'))).toEqual([...write, ...write, ...write, ...write])
  })
})

/** Two writers on the path; both are killed in the middle when they have said this many lines. */
async function writeUntilKilled(path: string, book: Map<string, string>, lines: number) {
  const writers = [startWriter(path), startWriter(path)]
  let left = lines
  await Promise.all(
    writers.map(async (writer) => {
      if (!writer.stdout) throw new Error('no stdout')
      for await (const line of createInterface({ input: writer.stdout })) {
        const [state = '', key = ''] = line.split(' ')
        book.set(key, state)
        left -= 1
        if (left === 0) for (const each of writers) each.kill('SIGKILL')
      }
    }),
  )
  expect(left).toBeLessThanOrEqual(0)
}

function startWriter(path: string): ChildProcess {
  return spawn(process.execPath, [here('../support/stores/file-writer.mjs')], {
    env: { ...process.env, FILE_STORAGE_PATH: path },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
}

async function expectAsBooked(storage: FileStorage, key: string, state: string) {
  const found = await storage.get(key)
  // What was under way when the process died is there whole or not at all; the rest is as acknowledged.
  if (state === 'took') expect(found).toBeUndefined()
  if (state === 'added') expect(found).toBeDefined()
  if (found) expect(Buffer.from(found).toString()).toBe(`${key} `.repeat(100))
}

describe('several file storages on one path', () => {
  it('share one store in a process, and closing one leaves the other working', async () => {
    const { storage: one, path } = clocked()
    const { storage: other } = clocked(join(path, '..', 'state'))
    await one.set('a', bytes('1'), 60)
    expect(await other.get('a')).toEqual(bytes('1'))
    const adding = Array.from({ length: 50 }, (_, index) =>
      (index % 2 ? one : other).add('b', bytes(`${index}`), 60),
    )
    expect((await Promise.all(adding)).filter(Boolean)).toHaveLength(1)
    await one.close()
    expect(await other.take('a')).toEqual(bytes('1'))
  })

  it('can be closed and opened again at once', async () => {
    const path = directories.make()
    for (let round = 0; round < 10; round += 1) {
      const { storage } = clocked(path)
      await storage.set(`${round}`, bytes('1'), 60)
      const closing = storage.close()
      const { storage: next } = clocked(path)
      expect(await next.get(`${round}`)).toEqual(bytes('1'))
      await Promise.all([closing, next.close()])
    }
  })

  it('see at once what another process has written', async () => {
    const path = directories.make()
    const storage = fileStorage({ path })
    open.push(storage)
    const writer = startWriter(path)
    const seen: boolean[] = []
    if (!writer.stdout) throw new Error('no stdout')
    for await (const line of createInterface({ input: writer.stdout })) {
      const [state, key = ''] = line.split(' ')
      const taken = Number(key.split(':')[2]) % 3 === 0
      if (state === 'added' && !taken) seen.push((await storage.get(key)) !== undefined)
      if (state === 'took') seen.push((await storage.get(key)) === undefined)
      if (seen.length >= 200) break
    }
    writer.kill('SIGKILL')
    expect(seen).toEqual(seen.map(() => true))
  })

  it('lets a process exit in the middle of its writes, and the others go on', async () => {
    const path = directories.make()
    const { storage } = clocked(path)
    for (const milliseconds of [0, 1, 2, 5, 10, 20]) {
      const code = `
        import create from ${JSON.stringify(here('../support/stores/file-store.mjs'))}
        const { storage } = create()
        await storage.get('a')
        const write = async (lane) => { for (;;) await storage.set('k' + lane, Buffer.alloc(1500), 60) }
        for (let lane = 0; lane < 40; lane += 1) write(lane)
        setTimeout(() => {
          for (let count = 0; count < 2000; count += 1) storage.set('b' + count, Buffer.alloc(100), 60)
          setImmediate(() => process.exit(3))
        }, ${milliseconds})`
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
        env: { ...process.env, FILE_STORAGE_PATH: path },
        stdio: ['ignore', 'ignore', 'inherit'],
        timeout: 10_000,
        killSignal: 'SIGKILL',
      })
      const [exitCode] = await new Promise<unknown[]>((resolve) =>
        child.once('exit', (...how) => resolve(how)),
      )
      expect(exitCode).toBe(3)
      await storage.set('still', bytes('1'), 60)
    }
  })
})

describe('the directory of the file storage', () => {
  it('is made with its parents, for this user alone', async () => {
    const { storage, path } = clocked(join(directories.make(), 'a', 'b'))
    await storage.set('a', bytes('1'), 60)
    const mode = (name: string) => (statSync(join(path, name)).mode & 0o777).toString(8)
    expect([mode('.'), mode('..'), mode('data.mdb'), mode('lock.mdb')]).toEqual([
      '700',
      '700',
      '600',
      '600',
    ])
  })

  it.each([undefined, '', 7, 'a\0b', new URL('file:///tmp')])('is not %p', (path) => {
    expect(() => fileStorage({ path: path as string })).toThrow(
      new TypeError('fileStorage: path must name a directory, such as "/var/lib/my-mcp/state"'),
    )
  })

  it('is no file and nothing below a file', () => {
    const path = directories.make()
    writeFileSync(path, '')
    for (const wrong of [path, join(path, 'below')]) {
      expect(() => fileStorage({ path: wrong })).toThrow(TypeError)
      expect(() => fileStorage({ path: wrong })).toThrow(
        /^fileStorage: path must be a directory this process may write or make: E(EXIST|NOTDIR)/,
      )
    }
  })

  it('is not reached over a network', () => {
    expect([0x6969, 0xff534d42, -11317950, 0xfe534d42, 0x517b].map(networkFileSystem)).toEqual([
      'NFS',
      'CIFS',
      'CIFS',
      'SMB2',
      'SMB',
    ])
    // ext4, xfs, btrfs, tmpfs, overlayfs, APFS
    const local = [0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 26]
    expect(local.map(networkFileSystem)).toEqual(local.map(() => undefined))
  })

  it('may not hold files that are not ours', async () => {
    const path = directories.make()
    mkdirSync(path)
    writeFileSync(join(path, 'data.mdb'), 'not a store of ours'.repeat(1000))
    const { storage } = clocked(path)
    const refusal = {
      message: `fileStorage: the store in ${path} cannot be opened`,
      cause: new Error('data.mdb is not a file of LMDB, or of another format than this one reads'),
    }
    await expect(storage.get('a')).rejects.toMatchObject(refusal)
    await expect(storage.set('a', bytes('1'), 60)).rejects.toMatchObject(refusal)
    await storage.close()
  })
})

describe('the file storage', () => {
  it.each([0, -1, 1.5, Number.NaN, '1'])('refuses maxValueBytes %p', (maxValueBytes) => {
    const path = directories.make()
    expect(() => fileStorage({ path, maxValueBytes: maxValueBytes as number })).toThrow(
      new TypeError('fileStorage: maxValueBytes must be a positive number of bytes'),
    )
  })

  it('refuses a value over its cap and keeps what it has', async () => {
    const { storage } = clocked(undefined, { maxValueBytes: 10 })
    await storage.set('a', new Uint8Array(10), 60)
    const refusal = new RangeError(
      'fileStorage: the value has 11 bytes, more than maxValueBytes (10)',
    )
    await expect(storage.set('a', new Uint8Array(11), 60)).rejects.toThrow(refusal)
    await expect(storage.add('b', new Uint8Array(11), 60)).rejects.toThrow(refusal)
    expect(await storage.get('a')).toEqual(new Uint8Array(10))
    expect(await storage.get('b')).toBeUndefined()
  })

  it('takes a megabyte unless told otherwise', async () => {
    const { storage } = clocked()
    const large = new Uint8Array(1024 * 1024).fill(7)
    await storage.set('a', large, 60)
    expect(Buffer.compare((await storage.get('a')) ?? bytes(''), large)).toBe(0)
    await expect(storage.set('a', new Uint8Array(large.length + 1), 60)).rejects.toThrow(RangeError)
  })

  it.each(['', 'k'.repeat(129), 'ключ', 'a\u0080'])('refuses the key %p', async (key) => {
    const { storage } = clocked()
    const refusal = new RangeError('fileStorage: a key is 1 to 128 ASCII characters')
    await expect(storage.get(key)).rejects.toThrow(refusal)
    await expect(storage.take(key)).rejects.toThrow(refusal)
    await expect(storage.set(key, bytes('1'), 60)).rejects.toThrow(refusal)
    await expect(storage.add(key, bytes('1'), 60)).rejects.toThrow(refusal)
  })

  it.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    'refuses a lifetime of %p',
    async (ttl) => {
      const { storage } = clocked()
      const refusal = new RangeError('fileStorage: a lifetime is a positive number of seconds')
      await expect(storage.set('a', bytes('1'), ttl)).rejects.toThrow(refusal)
      await expect(storage.add('a', bytes('1'), ttl)).rejects.toThrow(refusal)
    },
  )

  it('finishes what is under way when it is closed, and refuses what comes after', async () => {
    const { storage, path } = clocked()
    const adding = storage.add('a', bytes('1'), 60)
    const closing = storage.close()
    expect(await adding).toBe(true)
    await closing
    await storage.close()
    const refusal = 'fileStorage: the store has been closed'
    await expect(storage.get('a')).rejects.toThrow(refusal)
    await expect(storage.set('a', bytes('2'), 60)).rejects.toThrow(refusal)
    expect(await counts(path)).toEqual({ records: 1, expiries: 1 })
  })

  it('keeps no process alive', async () => {
    const code = `
      import create from ${JSON.stringify(here('../support/stores/file-store.mjs'))}
      await create().storage.add(String(process.pid), Buffer.alloc(10), 60)`
    expect((await runNode(['--input-type=module', '-e', code])).code).toBe(0)
  })

  it('says how to install lmdb when it is not there, and only when it is needed', async () => {
    const elsewhere = join(directories.make(), '..')
    cpSync(here('../../dist/storage'), join(elsewhere, 'storage'), { recursive: true })
    writeFileSync(join(elsewhere, 'package.json'), '{"type":"module"}')
    writeFileSync(
      join(elsewhere, 'main.js'),
      `import { fileStorage } from './storage/file.js'
       const storage = fileStorage({ path: './state' })
       console.log('made')
       for (const attempt of [1, 2]) await storage.get('a').catch((error) => console.log(error.message))
       await storage.close()`,
    )
    const { output } = await runNode(['main.js'], elsewhere)
    const refusal = 'fileStorage needs the package "lmdb": npm i lmdb'
    expect(output.trim().split('\n')).toEqual(['made', refusal, refusal])
  })

  it('rejects on a full disk, with the reason, and goes on with what it has', async () => {
    const code = `
      import create from ${JSON.stringify(here('../support/stores/file-store.mjs'))}
      const { storage, close } = create()
      await storage.set('first', Buffer.from('1'), 600)
      const failures = []
      for (let count = 0; count < 60 && failures.length < 3; count += 1) {
        const two = ['a', 'b'].map((name) => storage.add(name + count, Buffer.alloc(100_000), 600))
        for (const { reason } of await Promise.allSettled(two)) if (reason) failures.push(reason)
      }
      console.log(failures[0]?.message, '|', failures[0]?.cause?.message)
      console.log((await storage.get('first')).toString(), (await storage.take('a0')).length)
      await close()`
    const program = `ulimit -f 3000; exec "$0" --input-type=module -e "$1" 2>/dev/null`
    const { code: exitCode, output } = await run('bash', ['-c', program, process.execPath, code])
    expect(output).toBe(
      'fileStorage: the write could not be committed | Input/output error\n49 100000\n',
    )
    expect(exitCode).toBe(0)
  })
})

function runNode(args: string[], cwd?: string) {
  return run(process.execPath, args, cwd)
}

async function run(program: string, args: string[], cwd?: string) {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, FILE_STORAGE_PATH: directories.make() },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 20_000,
    killSignal: 'SIGKILL',
  })
  let output = ''
  child.stdout.on('data', (part) => {
    output += part
  })
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { code, output }
}
