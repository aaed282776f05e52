/** Entra in the soak: the emulator, slow, and now and then not there at all. A child process. */
import { startEntra } from 'mcp-entra/testing'
import { answerParent } from '../answer-parent.js'

const tenantId = '8f0f6a3e-5b53-4c0f-9c41-2b8b7d0a1e11'
const clientId = 'b3c1f9d2-0c44-4a53-8f0a-6d7f5e2c9a01'
const secret = 'the-secret-of-the-soak'
/** Milliseconds between two orders of faults, and how many requests each order is good for. */
const orderEvery = 500
const orderSize = 500
/** What happens to one request in a hundred. */
const troubles = [{ status: 503 }, { html: true }, { reset: true }, { retryAfter: 1 }]

/** Token requests by grant and status, and the ones of the last order, which may be waiting for their answer. */
const counts = new Map()
let latest = []

answerParent({ start, counts: () => [...counts].sort() })

/** @returns what the replicas have to know of this Entra */
async function start({ users, baseUrl }) {
  const entra = await startEntra({
    tenants: [{ id: tenantId, domain: 'contoso.example', users }],
    apps: [
      {
        clientId,
        tenantId,
        secrets: [secret],
        scopes: ['notes.read', 'notes.write'],
        consented: ['https://graph.microsoft.com/User.Read'],
        redirectUris: [`${baseUrl}/auth/callback`],
      },
    ],
  })
  orderFaults(entra)
  setInterval(() => orderFaults(entra), orderEvery)
  return { tenantId, clientId, secret, authorityHost: entra.url }
}

/** Every request waits 50 to 300 ms; one in a hundred to the token endpoint or the keys then fails. */
function orderFaults(entra) {
  countRequests(latest)
  latest = entra.requestsTo('token')
  entra.clearRequests()
  entra.clearFaults()
  for (let i = 0; i < orderSize; i++) {
    const delay = 0.05 + Math.random() * 0.25
    if (Math.random() >= 0.01) {
      entra.fault({ at: 'any', times: 1, delay })
      continue
    }
    const trouble = troubles[Math.floor(Math.random() * troubles.length)]
    entra.fault({ at: 'token', times: 1, delay, ...trouble })
  }
}

function countRequests(requests) {
  for (const { grantType, status = 'no answer' } of requests) {
    const what = `${grantType}, ${status}`
    counts.set(what, (counts.get(what) ?? 0) + 1)
  }
}
