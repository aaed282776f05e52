/**
 * `node --import ./build/examples/demo/emulator.js program.js`: without AZURE_TENANT_ID, starts an emulated Entra and
 * Graph in the program's own process, and sets the variables that lead to it.
 */
import { randomBytes } from 'node:crypto'
import { startEntra } from 'mcp-entra/testing'

if (!process.env.AZURE_TENANT_ID) {
  const entra = await startEntra()
  // Loopback is registered as it is, whatever the port; only a prefix is not.
  if (process.env.BASE_URL) entra.addRedirectUri(`${process.env.BASE_URL}/auth/callback`)
  Object.assign(process.env, {
    AZURE_TENANT_ID: entra.tenant.id,
    AZURE_CLIENT_ID: entra.app.clientId,
    AZURE_CLIENT_SECRET: entra.app.secrets[0],
    AZURE_AUTHORITY_HOST: entra.url,
    GRAPH_URL: entra.graphUrl,
    MCP_ENTRA_KEYS: process.env.MCP_ENTRA_KEYS || randomBytes(32).toString('base64'),
  })
  const users = entra.users.map(({ username }) => username).join(', ')
  console.log(`Emulated Entra: ${entra.url} (sign in as ${users}; no password)`)
}
