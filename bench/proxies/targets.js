/** What we set out to reach with logins, beside the peers of the same run. */
import { quantile } from '../statistics.js'
import { target } from '../target.js'

const peers = ['SDK v1', 'npm fastmcp', 'npm fastmcp, consent', 'oidc-provider']

/** CPU of ours over SDK v1's, by store. */
const most = { 'mcp-entra, memory': 1, 'mcp-entra, Redis': 1.1 }

/** @returns rows of what was wanted, what was measured, and PASS or MISS */
export function targets(samples) {
  const ratio = (own, other, read) =>
    quantile(
      samples.get(own).map((sample, round) => read(sample) / read(samples.get(other)[round])),
    )
  const ours = Object.keys(most).filter((name) => samples.has(name))
  return ours.flatMap((name) => {
    const cpu = ratio(name, 'SDK v1', (sample) => sample.cpu)
    const speeds = peers.map((peer) => [peer, ratio(name, peer, (sample) => sample.perSecond)])
    const [closest, speed] = speeds.reduce((least, other) => (other[1] < least[1] ? other : least))
    return [
      target(
        `${name}: CPU per login at most ${most[name].toFixed(1)} of SDK v1's`,
        cpu.toFixed(2),
        cpu <= most[name],
      ),
      target(
        `${name}: more logins per second than each peer`,
        `${speed.toFixed(2)} of ${closest}`,
        speed > 1,
      ),
    ]
  })
}
