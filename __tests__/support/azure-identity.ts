/** Credentials of the real `@azure/identity`, on a machine where the emulator is all there is of Azure. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline'
import type { EntraEmulator } from '../../lib/testing/index.js'
import type { EntraManagedIdentityOptions } from '../../lib/testing/options.js'
import { startUpstream, testKey, type Upstream } from './entra.js'

const cluster = 'https://aks.example/oidc/'
const account = 'system:serviceaccount:mcp:notes'
const devOps = 'https://vstoken.dev.azure.com/contoso'
const connection = 'sc://contoso/notes/azure'

/** The token of the pipeline, which no log may show. */
export const systemAccessToken = 'pipeline-token-7c9f'

/** A managed identity of the machine, which a service account and a service connection may act for. */
export function managedIdentityNumber(index: number) {
  const end = String(index).padStart(12, '0')
  return {
    clientId: `1de00001-0000-4000-8000-${end}`,
    principalId: `1de00002-0000-4000-8000-${end}`,
    federatedCredentials: [
      { issuer: cluster, subject: account },
      { issuer: devOps, subject: connection },
    ],
  } satisfies EntraManagedIdentityOptions
}

/** What the platforms around the emulator provide. */
export interface Platforms {
  /** Takes the packages' requests, which insist on https and on Entra's own host, to the emulator. */
  readonly httpClient: HttpClient
  /** The file AKS projects the service account's token into. */
  readonly tokenFile: string
  /** Where a pipeline gets its tokens: what `SYSTEM_OIDCREQUESTURI` says. */
  readonly oidcRequestUri: string
  readonly azureDevOps: Upstream
  close(): Promise<void>
}

/** Puts a token where AKS puts it, and starts the token service of Azure DevOps. */
export async function startPlatforms(entra: EntraEmulator): Promise<Platforms> {
  const key = await testKey('platform')
  const sign = (iss: string, sub: string) => {
    const iat = entra.now()
    const aud = 'api://AzureADTokenExchange'
    return key.sign({ iss, sub, aud, iat, nbf: iat, exp: iat + 3600 })
  }
  const folder = await mkdtemp(join(tmpdir(), 'mcp-entra-'))
  const tokenFile = join(folder, 'azure-identity-token')
  await writeFile(tokenFile, await sign(cluster, account))
  const azureDevOps = await startUpstream(async ({ headers }) =>
    headers.authorization === `Bearer ${systemAccessToken}`
      ? { body: { oidcToken: await sign(devOps, connection) } }
      : { status: 401 },
  )
  return {
    httpClient: toEmulator(entra.url),
    tokenFile,
    oidcRequestUri: `${azureDevOps.url}/oidctoken`,
    azureDevOps,
    async close() {
      await azureDevOps.close()
      await rm(folder, { recursive: true })
    },
  }
}

function toEmulator(url: string): HttpClient {
  const client = createDefaultHttpClient()
  return {
    sendRequest(request) {
      request.url = request.url.replace('https://login.microsoftonline.com', url)
      request.allowInsecureConnection = true
      return client.sendRequest(request)
    },
  }
}
