/** A company's identity provider in front of a host, and a client that it lets in. */

import {
  type AssertionChanges,
  type IdentityProvider,
  startIdentityProvider,
} from './identity-provider.js'
import { postForm, register } from './oauth-client.js'

export const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

/** Where assertions are for, and whom they name. */
export interface AssertionWorld {
  readonly idp: IdentityProvider
  clientId: string
  audience: string
  user: Readonly<Record<string, unknown>>
}

/** Starts a provider whose assertions are for whatever the world says by then. */
export async function startAssertionWorld(
  user: AssertionWorld['user'],
  options: {
    readonly path?: string
    readonly alg?: 'ES256' | 'RS256'
    readonly now?: () => number
  } = {},
): Promise<AssertionWorld> {
  const world = { clientId: '', audience: '', user } as {
    -readonly [K in keyof AssertionWorld]: AssertionWorld[K]
  }
  world.idp = await startIdentityProvider({
    ...options,
    claims: () => ({
      aud: world.audience,
      client_id: world.clientId,
      resource: `${world.audience}/mcp`,
      scope: 'notes.read notes.write',
      ...world.user,
    }),
  })
  return world
}

/** Points the world at a server, where a client registers itself. */
export async function aimAt(
  world: AssertionWorld,
  url: string,
  metadata: object = {},
): Promise<void> {
  world.audience = url
  world.clientId = await register(url, metadata)
}

/** Presents an assertion at the token endpoint. */
export function present(
  url: string,
  world: Pick<AssertionWorld, 'clientId'>,
  assertion: string,
  more: Record<string, string> = {},
): Promise<Response> {
  const request = { grant_type: jwtBearer, assertion, client_id: world.clientId, ...more }
  return postForm(`${url}/token`, request)
}

/** Makes an assertion, and presents it. */
export async function presentNew(
  url: string,
  world: AssertionWorld,
  changes: AssertionChanges = {},
  more: Record<string, string> = {},
): Promise<Response> {
  return present(url, world, await world.idp.assertion(changes), more)
}
