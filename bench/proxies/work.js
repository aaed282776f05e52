/** Ours beside the bare reference, and what it does in the steps that take more than twice as long. */
import { quantile } from '../statistics.js'

/** Steps that are compared: the consent page of ours belongs to the step that the reference does without it. */
const compared = [
  {
    title: 'register',
    steps: ['register'],
    work: 'Checks the metadata member by member (RFC 7591, redirect URIs of each kind of client) and seals the whole registration into the client id, so that nothing is stored and nothing is lost in a restart. The reference keeps what it gets in a map.',
  },
  {
    title: 'authorize, consent',
    steps: ['authorize', 'consent'],
    work: 'Shows a consent page and takes its form, each sealed and bound to the browser by a cookie of its own, with CSP, origin check and the checks of the redirect URI in both. The reference sends the browser straight on.',
  },
  {
    title: 'callback',
    steps: ['callback'],
    work: 'Opens the login from its cookie, redeems the code through MSAL, verifies the id token (nonce, audience, issuer, times) and the access token (signature too), asks the login policy, looks for pending challenges, and writes grant and code. The reference redeems the code and keeps the answer unread.',
  },
  {
    title: 'token',
    steps: ['token'],
    work: "Checks client, PKCE, redirect URI and resource before the code is spent, spends it once across all replicas, remembers it in case a thief comes with it too, and signs ES256 (50 µs more than the reference's HS256) so that others can verify the token without the key.",
  },
  {
    title: 'refresh',
    steps: ['refresh'],
    work: 'Rotates the refresh token once across all replicas and gives the same answer to a client that retries, refreshes through MSAL, verifies the new access token, asks the login policy again, and signs ES256. The reference swaps one record for another.',
  },
]

const ours = 'mcp-entra, memory'
const reference = 'bare reference'

export function workTable(samples) {
  const found = compared.map(({ title, steps, work }) => {
    const cpu = (name) => samples.get(name).map((sample) => sum(steps, sample.steps))
    const own = cpu(ours)
    const bare = cpu(reference)
    const times = quantile(own.map((value, round) => value / bare[round]))
    return { title, work, times, cells: [own, bare].map((values) => quantile(values).toFixed(0)) }
  })
  return {
    title: 'Ours beside the bare reference, by step',
    header: ['', 'ours, µs', 'reference, µs', 'times'],
    rows: found.map(({ title, cells, times }) => [title, ...cells, times.toFixed(1)]),
    notes: [
      'What ours does in the steps that take more than twice as long:',
      ...found.filter(({ times }) => times > 2).map(({ title, work }) => `- ${title}: ${work}`),
    ],
  }
}

function sum(names, values) {
  return names.reduce((total, name) => total + values[name], 0)
}
