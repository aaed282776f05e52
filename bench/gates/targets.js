/** What we set out to reach at the gate, as ratios to a bare route or to a peer in the same run. */
import { quantile } from '../statistics.js'
import { target } from '../target.js'
import { refusals, refusers } from './cells.js'
import { compare } from './measure.js'

/** By how much two equal cells may differ: about what the bare route differs from itself. */
const noise = 0.02
/** The same in microseconds of CPU. */
const noiseCpu = 2

/** @returns rows of what was wanted, what was measured, and PASS or MISS */
export function targets(samples) {
  const beside = (name, to) => {
    const { ratio, added } = compare(samples.get(name), samples.get(to))
    return { ratio: quantile(ratio), added: quantile(added) }
  }
  const entra = 'mcp-entra, Entra token'
  const own = 'mcp-entra, own token'
  return [
    ...['', ', 10,000'].flatMap((crowd) => [
      againstBare(`${entra}${crowd}`, beside(`${entra}${crowd}`, 'bare')),
      againstBare(`${own}${crowd}`, beside(`${own}${crowd}`, 'bare, own token')),
      ahead(`${entra}${crowd}`, beside(`${entra}${crowd}`, `fast-jwt, cache${crowd}`)),
      ahead(`${own}${crowd}`, beside(`${own}${crowd}`, `fast-jwt, cache${crowd}`)),
    ]),
    notBehindEntra(beside(own, 'bare, own token'), beside(entra, 'bare')),
    boundTarget(
      beside('mcp-entra, bound token (DPoP)', 'bare, bound token'),
      beside('jose by hand, own token', 'bare, own token'),
    ),
    ...[entra, own].flatMap((name) => guardTargets(name, beside)),
    notBehindJose(beside(`${entra}, new`, 'jose by hand')),
    againstEs256(
      beside(`${own}, new`, 'bare, own token'),
      beside('jose by hand, own token', 'bare, own token'),
    ),
    ...Object.keys(refusals).map((kind) => aheadOfAll(kind, beside)),
  ]
}

function againstBare(name, { ratio, added }) {
  const measured = `${ratio.toFixed(2)}, ${microseconds(added)}`
  const wanted = `${name}, seen: at least 0.90 of bare, at most 15 µs added`
  return target(wanted, measured, ratio >= 0.9 && added <= 15)
}

function ahead(name, { ratio, added }) {
  const measured = `${ratio.toFixed(2)} of it, ${microseconds(added)}`
  return target(`${name}, seen: ahead of fast-jwt with its cache`, measured, ratio >= 1)
}

function notBehindEntra(own, entra) {
  const measured = `${own.ratio.toFixed(2)} and ${entra.ratio.toFixed(2)} of bare`
  return target("own token, seen: not behind Entra's", measured, own.ratio >= entra.ratio - noise)
}

/** One signature, what a seen token costs, and one operation of a store in memory. */
function boundTarget(bound, jose) {
  const times = bound.added / jose.added
  const measured = `${times.toFixed(2)} times (${bound.added.toFixed(0)} and ${jose.added.toFixed(0)} µs)`
  const wanted = "bound token (DPoP): CPU added at most 2 times jose's ES256"
  return target(wanted, measured, times <= 2)
}

function guardTargets(name, beside) {
  const parsed = `${name}, express.json`
  const reads = beside(`${name}, tool guard`, parsed)
  const finds = beside(`${parsed}, tool guard`, parsed)
  return [
    target(
      `${name}, tool guard: at most 10 µs over express.json`,
      microseconds(reads.added),
      reads.added <= 10,
    ),
    target(
      `${name}, tool guard: nothing more where the body is parsed`,
      microseconds(finds.added),
      finds.added <= noiseCpu,
    ),
  ]
}

function notBehindJose({ ratio, added }) {
  const measured = `${ratio.toFixed(2)} of jose, ${microseconds(added)}`
  return target('Entra token, never seen: not behind jose', measured, ratio >= 1 - noise)
}

function againstEs256(own, jose) {
  const times = own.added / jose.added
  const measured = `${times.toFixed(2)} times (${own.added.toFixed(0)} and ${jose.added.toFixed(0)} µs)`
  const wanted = "own token, never seen: CPU added at most 1.3 times jose's ES256"
  return target(wanted, measured, times <= 1.3)
}

function aheadOfAll(kind, beside) {
  const [us, ...peers] = Object.keys(refusers)
  const ratios = peers.map((peer) => [peer, beside(`${us}: ${kind}`, `${peer}: ${kind}`).ratio])
  const [closest, ratio] = ratios.reduce((least, other) => (other[1] < least[1] ? other : least))
  const measured = `${ratio.toFixed(2)} of ${closest}`
  return target(`refused, ${kind}: ahead of every peer`, measured, ratio >= 1)
}

function microseconds(value) {
  return `${value >= 0 ? '+' : ''}${value.toFixed(0)} µs`
}
