/** Bytes that one replica's memory holds for each token and user it has seen. */

import { callWith } from './cells.js'
import { register } from './login.js'
import { doAll } from './measure.js'

/** Users who come once, and further tokens of each of them. */
const users = 2000
const further = 2
/** Of the gates' memory only: what a first request leaves in it is not counted. */
const warmUp = 200

/** @returns bytes by what is cached */
export async function measureCached(server, issuer, entra) {
  const clientId = await register(server.send)
  const { scope, tenantId } = issuer
  const fill = (count) => server.ask('fill', { count, sample: count, clientId, scope, tenantId })
  const mint = (logins) => server.ask('mint', { sids: logins.map(({ sid }) => sid), clientId })
  const grown = async (tokens, path) => {
    const before = await server.ask('memory')
    await doAll(tokens.map((token) => callWith(server.send, path, token)))
    return ((await server.ask('memory')) - before) / tokens.length
  }
  const access = (logins) => logins.map((login) => login.access)

  await grown(access(await fill(warmUp)), '/exchange')
  const logins = await fill(users)
  const first = await grown(access(logins), '/now')
  const others = []
  for (let count = 0; count < further; count++) others.push(...(await mint(logins)))
  return {
    'own token, the first of its login': first,
    'own token, each further one of the same login': await grown(others, '/now'),
    'downstream token, for each user': await grown(access(logins), '/exchange'),
    "Entra's token": await grown(await entra.ask('tokens', users), '/now'),
  }
}
