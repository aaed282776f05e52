/** Ours, as an application mounts it. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import express from 'express'
import { clientSecret, entraAuth, entraScopes, memoryStorage, oauthRoutes } from 'mcp-entra'
import { fileStorage } from 'mcp-entra/file'
import { redisStorage } from 'mcp-entra/redis'
import { listen } from '../listen.js'

/** @param {{ storage: 'memory' | 'file' | 'redis', redisUrl?: string }} options beside the usual ones */
export async function startProxy({ port, baseUrl, entra, storage, redisUrl }) {
  const { tenantId, clientId, authorityHost, scope } = entra
  const auth = entraAuth({
    baseUrl,
    tenantId,
    clientId,
    authorityHost,
    credential: clientSecret('x'.repeat(40)),
    resources: ['/mcp'],
    scopes: entraScopes({ clientId, required: [scope] }),
    keys: [randomBytes(32).toString('base64')],
    storage: storages[storage](redisUrl),
    logger: { info() {}, warn() {}, error: console.error },
  })
  const app = express().disable('x-powered-by').use(oauthRoutes(auth))
  await listen(app, port)
}

const storages = {
  memory: () => memoryStorage(),
  file() {
    const path = mkdtempSync(join(tmpdir(), 'mcp-entra-bench-'))
    process.on('exit', () => rmSync(path, { recursive: true, force: true }))
    return fileStorage({ path })
  },
  redis: (url) => redisStorage({ url }, { prefix: `mcp-entra-bench-${process.pid}:` }),
}
