/** Logins on the file storage outlive the host. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { startEntra } from 'mcp-entra/testing'
import { fileStorage } from '../../lib/storage/file.js'
import { temporaryDirectories } from '../support/file-store.js'
import { type Entra, startHost } from '../support/host.js'
import { getNotes, login, postForm, refresh, type Tokens } from '../support/oauth-client.js'

const directories = temporaryDirectories()
let entra: Entra
beforeAll(async () => {
  entra = await startEntra()
})
afterAll(async () => {
  await entra.close()
  directories.remove()
})

/** A host on the path while `during` runs; then everything of it is closed. */
async function whileHosting<T>(path: string, port: number, during: (url: string) => Promise<T>) {
  const storage = fileStorage({ path })
  const host = await startHost(entra, { storage, port })
  try {
    return { port: Number(new URL(host.url).port), result: await during(host.url) }
  } finally {
    await host.close()
    await storage.close()
  }
}

describe('a host on the file storage', () => {
  it('knows its logins again after a restart: access token, refresh token, and their end', async () => {
    const path = directories.make()
    const { port, result: first } = await whileHosting(path, 0, (url) => login(url))
    const { result: second } = await whileHosting(path, port, async (url) => {
      expect((await getNotes(url, first.access_token)).status).toBe(200)
      const refreshed = await refresh(url, first)
      expect(refreshed.status).toBe(200)
      return (await refreshed.json()) as Tokens
    })
    await whileHosting(path, port, async (url) => {
      expect((await getNotes(url, second.access_token)).status).toBe(200)
      expect((await getNotes(url, first.access_token)).status).toBe(200)
      // Within the grace the used token gets the very same answer, given before the restart.
      const again = await refresh(url, first)
      expect(await again.json()).toEqual(second)
      const token = { token: second.refresh_token, client_id: first.clientId }
      expect((await postForm(`${url}/revoke`, token)).status).toBe(200)
    })
    await whileHosting(path, port, async (url) => {
      expect((await getNotes(url, second.access_token)).status).toBe(401)
      const refused = await refresh(url, { ...second, clientId: first.clientId })
      expect(refused.status).toBe(400)
      expect(await refused.json()).toMatchObject({ error: 'invalid_grant' })
    })
  })

  it('knows nobody on another path', async () => {
    const { port, result } = await whileHosting(directories.make(), 0, (url) => login(url))
    await whileHosting(directories.make(), port, async (url) => {
      expect((await getNotes(url, result.access_token)).status).toBe(401)
      expect((await refresh(url, result)).status).toBe(400)
    })
  })
})
