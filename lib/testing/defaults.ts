/** The default directory of `startEntra()`: two tenants, an API, a daemon. */
import type { EntraAppOptions, EntraTenantOptions } from './options.js'

const contoso = 'c0a70500-0000-4000-8000-00000000c050'
const notes = 'a9900001-0000-4000-8000-0000000000e5'
const daemon = 'dae30001-0000-4000-8000-00000000cafe'

/** Contoso with Ada, Bob and a guest; Fabrikam with Frida. */
export const defaultTenants: readonly EntraTenantOptions[] = [
  {
    id: contoso,
    domain: 'contoso.example',
    users: [
      {
        oid: '0000ada0-0000-4000-8000-000000000001',
        username: 'ada@contoso.example',
        name: 'Ada Lovelace',
        roles: ['Notes.Admin'],
      },
      {
        oid: '0000b0b0-0000-4000-8000-000000000002',
        username: 'bob@contoso.example',
        name: 'Bob Babbage',
      },
      {
        oid: '0000ce5a-0000-4000-8000-000000000003',
        username: 'grace_navy.example#EXT#@contoso.example',
        name: 'Grace Hopper',
        guest: true,
      },
    ],
  },
  {
    id: 'fab21ca0-0000-4000-8000-0000000fab21',
    domain: 'fabrikam.example',
    users: [
      {
        oid: '0000f21d-0000-4000-8000-000000000004',
        username: 'frida@fabrikam.example',
        name: 'Frida Falk',
      },
    ],
  },
]

/** An API that signs users in and calls Graph for them, and a daemon that may read all notes. */
export const defaultApps: readonly EntraAppOptions[] = [
  {
    clientId: notes,
    name: 'Notes MCP',
    tenantId: contoso,
    secrets: ['notes-mcp-secret'],
    redirectUris: ['http://localhost/auth/callback', 'http://127.0.0.1/auth/callback'],
    scopes: ['notes.read', 'notes.write'],
    appRoles: ['Notes.Read.All', 'Notes.Admin'],
    consented: ['https://graph.microsoft.com/User.Read'],
    applicationPermissions: { [daemon]: ['Notes.Read.All'] },
  },
  {
    clientId: daemon,
    name: 'Notes night shift',
    tenantId: contoso,
    secrets: ['daemon-secret'],
  },
]
