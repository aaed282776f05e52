/** What is measured in each store: actions, each of which is a request or a few. */
import { form } from '../http-client.js'
import { expect, logIn, redeem, refresh } from './login.js'

/** How often each is done in a round, and how many are under way at once. */
const times = { gate: 1000, unseen: 300, refresh: 100, login: 96 }
export const inFlight = 8

/** Cells by name. Each makes its actions before the clock runs, from the server and the logins of a store. */
export const cells = {
  'gate, token looked at within the second': (store) => calls(store, '/now'),
  'gate, token looked at again': (store) => calls(store, '/later'),
  'gate, token never seen': newTokens,
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

async function calls({ send, used }, path) {
  return Array.from({ length: times.gate }, (_, index) =>
    callWith(send, path, used[index % used.length].access),
  )
}

async function newTokens({ send, ask, used, clientId }) {
  const sids = Array.from({ length: times.unseen }, (_, index) => used[index % used.length].sid)
  const tokens = await ask('mint', { sids, clientId })
  return tokens.map((token) => callWith(send, '/now', token))
}

/** Those who have waited longest. Each is refreshed with the token that its last refresh gave. */
async function refreshes({ send, used, clientId }) {
  const some = used.splice(0, times.refresh)
  used.push(...some)
  return some.map((login) => async () => {
    login.refresh = await refresh(send, clientId, login.refresh)
  })
}

async function logins({ send, clientId }) {
  return Array.from({ length: times.login }, () => () => logIn(send, clientId))
}

async function redemptions({ send, clientId }) {
  const ready = []
  for (let count = 0; count < times.login; count += inFlight) {
    const some = Array.from({ length: inFlight }, () => logIn(send, clientId))
    ready.push(...(await Promise.all(some)))
  }
  return ready.map((code) => () => redeem(send, code))
}
