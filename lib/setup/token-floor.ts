/** What the server's keys make possible: clients, records, and tokens of our own. */
import type { KeyRing } from '../crypto/key-ring.js'
import { vault } from '../storage/vault.js'
import { accessTokens } from '../tokens/access-token.js'
import { authorizationCodes } from '../tokens/authorization-code.js'
import { challenges } from '../tokens/challenges.js'
import type { RegisteredClients } from '../tokens/clients.js'
import { connectedApps } from '../tokens/connected-apps.js'
import { consents } from '../tokens/consents.js'
import { cutOffs } from '../tokens/cut-offs.js'
import { dpopProofs } from '../tokens/dpop-proofs.js'
import { grants } from '../tokens/grants.js'
import { interactions } from '../tokens/interactions.js'
import { news } from '../tokens/news.js'
import { refreshTokens } from '../tokens/refresh-token.js'
import { stepUps } from '../tokens/step-ups.js'
import { urlElicitation } from '../tokens/url-elicitation.js'
import type { Settings } from './settings.js'

/** What of the settings there is only with `keys`. */
interface KeyedSettings {
  readonly ring: KeyRing
  readonly registered: RegisteredClients
}

/** Seconds for which an edit of a grant may be under way: far more than asking Entra and waiting for a lock take. */
const longestEdit = 3600

/** See the file's own comment. */
export type TokenFloor = ReturnType<typeof makeTokenFloor>

export function makeTokenFloor(settings: Settings, { ring, registered }: KeyedSettings) {
  const { storage, lifetimes, baseUrl, customSchemes, dpop, report, now, monotonic } = settings
  const records = vault(storage, ring)
  // A cut-off outlives all that it has ended: also a grant that a refresh under way writes back after it.
  const lifetime = Math.max(lifetimes.grant, lifetimes.consent) + longestEdit
  const endings = news({ vault: records, lifetime, monotonic })
  const ended = cutOffs({ vault: records, lifetime, news: endings, now })
  const allGrants = grants({ vault: records, cutOffs: ended, news: endings, lifetimes, now })
  const apps = connectedApps({
    vault: records,
    grants: allGrants,
    cutOffs: ended,
    lifetimes,
    downstream: settings.options.scopes.additional,
    now,
    onFailure: (error, facts) =>
      report('failure', { endpoint: 'token', reason: 'connected_app_not_recorded', error }, facts),
  })
  return {
    ring,
    vault: records,
    grants: allGrants,
    cutOffs: ended,
    connectedApps: apps,
    challenges: challenges(records),
    interactions: interactions(records, now),
    urlElicitation: urlElicitation(records, lifetimes.grant),
    stepUps: stepUps(records, now),
    codes: authorizationCodes(records, allGrants, lifetimes),
    consents: consents({ vault: records, cutOffs: ended, lifetime: lifetimes.consent, now }),
    refreshTokens: refreshTokens(ring, records, allGrants, lifetimes, now),
    accessTokens: accessTokens(baseUrl, ring, lifetimes.accessToken, now),
    identityAssertions: settings.identities.build({
      records,
      baseUrl,
      report,
      now,
      monotonic,
      fetching: settings.clients.fetching,
    }),
    dpop:
      dpop.mode === 'off'
        ? undefined
        : dpopProofs({
            required: dpop.mode === 'required',
            nonces: dpop.nonces,
            ring,
            records,
            now,
          }),
    ...settings.clients.build({
      registered,
      records,
      baseUrl,
      customSchemes,
      report,
      now,
      monotonic,
    }),
  }
}
