/** Our cache, with room for all users, over a token endpoint that answers at once. */
import { onBehalfOf } from '../../dist/entra/on-behalf-of.js'

const scopes = ['https://graph.microsoft.com/User.Read']

export function ownCache(maxEntries) {
  let answer
  let exchanges = 0
  const endpoint = {
    async onBehalfOf() {
      exchanges++
      return { accessToken: answer, expiresIn: 4000 }
    },
  }
  const cache = onBehalfOf({ endpoint, maxEntries })
  const token = async ({ assertion, tid, oid }) =>
    (await cache.token({ assertion, tid, oid, scopes })).token
  return {
    exchanges: () => exchanges,
    fill(user) {
      answer = user.downstreamToken
      return token(user)
    },
    token,
  }
}
