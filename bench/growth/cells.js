/** What is measured in each store: actions, each of which is a request or a few. */
import { form } from '../http-client.js'
import { expect, logIn, redeem, refresh } from './login.js'

/** How often each is done in a visit, and how many are under way at once. A quick run does a share of them. */
const times = { gate: 1000, unseen: 300, refresh: 100, login: 96 }
export const inFlight = 8

/** Cells by name. Each makes its actions before the clock runs, from the server and the logins of a store. */
export const cells = {
  'gate, token looked at within the second': (store) => calls(store, '/now'),
  'gate, token looked at again': (store) => calls(store, '/later'),
  'gate, login never seen': newLogins,
  'on behalf of, cached (with the gate)': (store) => calls(store, '/exchange'),
  refresh: refreshes,
  'login, up to the code': logins,
  'login, redemption of the code': redemptions,
}

/** Cells that want a gate to have seen their tokens. */
export const seen = [
  'gate, token looked at again',
  'gate, token looked at within the second',
  'on behalf of, cached (with the gate)',
]

/** A request with this token. */
export function callWith(send, path, token) {
  return () => expect(200, send(path, { headers: { authorization: `Bearer ${token}` } }))
}

/** Logs out. */
export function revocation({ send, clientId }, login) {
  return () => expect(200, send('/revoke', form({ token: login.refresh, client_id: clientId })))
}

async function calls({ send, used, share }, path) {
  return Array.from({ length: Math.ceil(share * times.gate) }, (_, index) =>
    callWith(send, path, used[index % used.length].access),
  )
}

/** Logins that this replica has nothing of, written to the store as the others were. */
async function newLogins(store) {
  const { send, share } = store
  const logins = await store.fill(Math.ceil(share * times.unseen))
  return logins.map(({ access }) => callWith(send, '/now', access))
}

/** Those who have waited longest. Each is refreshed with the token that its last refresh gave. */
async function refreshes({ send, used, clientId, share }) {
  const some = used.splice(0, Math.ceil(share * times.refresh))
  used.push(...some)
  return some.map((login) => async () => {
    login.refresh = await refresh(send, clientId, login.refresh)
  })
}

async function logins({ send, clientId, share }) {
  return Array.from({ length: Math.ceil(share * times.login) }, () => () => logIn(send, clientId))
}

async function redemptions({ send, clientId, share }) {
  const ready = []
  for (let count = 0; count < share * times.login; count += inFlight) {
    const some = Array.from({ length: inFlight }, () => logIn(send, clientId))
    ready.push(...(await Promise.all(some)))
  }
  return ready.map((code) => () => redeem(send, code))
}
