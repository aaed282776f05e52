/** What is kept of the documents and key sets of many strangers. */
import { describe, expect, it } from '@jest/globals'
import { FetchFailure, type SafeResponse } from '../../lib/http/safe-fetch.js'
import { clientDocuments, clientKeySets } from '../../lib/tokens/client-documents.js'

const modulus = Buffer.alloc(512, 0xff).toString('base64url')

function fetched(answer: (url: string) => unknown) {
  const asked: string[] = []
  const options = {
    async fetch({ href }: URL): Promise<SafeResponse> {
      asked.push(href)
      return { status: 200, headers: {}, body: Buffer.from(JSON.stringify(answer(href))) }
    },
    customSchemes: [],
    now: () => 0,
    monotonic: () => 0,
  }
  return { asked, options }
}

const urls = (count: number) =>
  Array.from({ length: count }, (_, index) => `https://client${index}.example/${index}`)

/** How many of them are at hand when all have been asked for. */
async function keptOf(
  list: readonly string[],
  asked: readonly string[],
  get: (url: string) => Promise<unknown>,
): Promise<number> {
  for (const url of list) await get(url)
  let kept = 0
  for (const url of [...list].reverse()) {
    const before = asked.length
    await get(url)
    if (asked.length > before) return kept
    kept += 1
  }
  return kept
}

describe('of the key sets of strangers', () => {
  const key = (kid: string) => ({ kty: 'RSA', n: modulus, e: 'AQAB', kid })

  it('with eight of the largest keys a few hundred are kept: 8 MB of them', async () => {
    const keys = Array.from({ length: 100 }, (_, index) => key(`${index}`.padEnd(256, 'x')))
    const { asked, options } = fetched(() => ({ keys }))
    const kept = await keptOf(urls(500), asked, clientKeySets(options).find)
    expect(kept).toBeGreaterThan(100)
    expect(kept).toBeLessThan(300)
  })

  it('with one ordinary key a thousand are kept', async () => {
    const { asked, options } = fetched(() => ({
      keys: [{ ...key('one'), n: modulus.slice(0, 342) }],
    }))
    expect(await keptOf(urls(1000), asked, clientKeySets(options).find)).toBe(1000)
  })
})

describe('of the documents of strangers', () => {
  it('as large as may be, with their keys, a few hundred are kept: 8 MB of them', async () => {
    const keys = Array.from({ length: 8 }, () => ({
      kty: 'OKP',
      crv: 'Ed25519',
      x: 'x'.repeat(43),
    }))
    const { asked, options } = fetched((client_id) => ({
      client_id,
      client_name: 'x'.repeat(256),
      redirect_uris: [0, 1, 2].map((count) => `https://client.example/${count}${'x'.repeat(1900)}`),
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys },
    }))
    const kept = await keptOf(urls(500), asked, clientDocuments(options).find)
    expect(kept).toBeGreaterThan(100)
    expect(kept).toBeLessThan(300)
  })

  it('an ordinary one is kept for each of a thousand clients', async () => {
    const { asked, options } = fetched((client_id) => ({
      client_id,
      client_name: 'Client',
      redirect_uris: ['http://localhost/callback'],
    }))
    expect(await keptOf(urls(1000), asked, clientDocuments(options).find)).toBe(1000)
  })
})

it('a fetch that gave way to others may be tried again in a second, and nobody is told to mend a network', async () => {
  const documents = clientDocuments({
    ...fetched(() => ({})).options,
    fetch: () => Promise.reject(new FetchFailure('busy', 'this server has too many documents')),
  })
  await expect(documents.find('https://client.example/app')).rejects.toMatchObject({
    status: 503,
    retryAfter: 1,
    description: "The client's document cannot be fetched: this server has too many documents.",
  })
})
