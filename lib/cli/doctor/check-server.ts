/** A running server, seen as clients see it: the gate, discovery in their order, the token endpoint. */
import { cloudOf } from '../../entra/clouds.js'
import { isLoopbackHost } from '../../oauth/loopback.js'
import { checkDiscovery } from './check-discovery.js'
import { checkGate } from './check-gate.js'
import { checkInteraction } from './check-interaction.js'
import { checkTokenEndpoint } from './check-token-endpoint.js'
import { type Diagnosis, type Finding, failure, ok } from './finding.js'

/**
 * @param url the MCP endpoint, as clients write it
 * @param authorityHost of Entra, if it is none that everybody knows
 */
export async function checkServer(
  url: URL,
  authorityHost: string | undefined,
  now: () => number,
): Promise<Diagnosis> {
  const gate = await checkGate(url, now)
  const findings: Finding[] = [checkTransport(url), ...gate.findings]
  const notChecked = [
    'settings and store: run doctor in the environment of the server, without a URL',
  ]
  if (!gate.isThere) return { of: url.href, findings, notChecked }
  const discovery = await checkDiscovery(url, gate.metadataUrl, authorities(authorityHost))
  findings.push(...discovery.findings)
  if (discovery.isDirect) {
    notChecked.push(
      `whether ${url.href} is an Application ID URI, so that clients may send it as resource: doctor --mode direct, without a URL`,
    )
  }
  if (discovery.tokenEndpoint !== undefined) {
    const token = await checkTokenEndpoint(discovery.tokenEndpoint)
    findings.push(...token.findings, ...(await checkInteraction(discovery.tokenEndpoint)))
    notChecked.push(...token.notChecked)
  }
  return { of: url.href, findings, notChecked }
}

function checkTransport({ protocol, hostname }: URL): Finding {
  if (protocol === 'https:') return ok('https', 'used')
  if (isLoopbackHost(hostname)) return ok('https', 'not needed on loopback')
  return failure(
    'https',
    'http off loopback: everyone on the way reads the tokens, and clients refuse it',
    'put TLS in front, and let BASE_URL begin with https',
  )
}

function authorities(host: string | undefined): (url: string) => boolean {
  const own = host && URL.canParse(host) ? new URL(host).origin : undefined
  return (url) => {
    const { origin } = new URL(url)
    return origin === own || cloudOf(origin) !== undefined
  }
}
