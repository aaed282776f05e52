/** Who may redeem a grant: browsers for SPA redirect URIs, servers for all others. */
import { refuse } from '../errors.js'

/** AADSTS9002326 when a browser redeems for the Web platform, 9002327 when a server does for an SPA. */
export function checkOrigin(origin: string | undefined, spa: boolean): void {
  if (origin !== undefined && !spa) {
    refuse(
      9002326,
      "Cross-origin token redemption is permitted only for the 'Single-Page Application' client-type. " +
        `Request origin: '${origin}'.`,
    )
  }
  if (origin === undefined && spa) {
    refuse(
      9002327,
      "Tokens issued for the 'Single-Page Application' client-type may only be redeemed via cross-origin requests.",
    )
  }
}
