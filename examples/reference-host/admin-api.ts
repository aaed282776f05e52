/** For administrators: what apps hold a user's access, and ending the access of a user, a client or a tenant. */
import express, { type RequestHandler, type Router } from 'express'
import {
  type EntraAuth,
  listGrants,
  OAuthError,
  requireBearer,
  revokeClient,
  revokeTenant,
  revokeUser,
  scopeGuard,
} from 'mcp-entra'

/** The app role that administrators have: people and apps alike, by a token of ours or of Entra's. */
const role = 'Mcp.Admin'

/** Routes under `/admin`: 204 when done, 403 without the role. */
export function adminApi(auth: EntraAuth): Router {
  const router = express.Router()
  router.use(requireBearer(auth), scopeGuard(auth, { roles: role }))
  router.get(
    '/users/:tid/:oid/apps',
    answer(async ({ tid, oid }, res) => {
      res.set('Cache-Control', 'no-store').json({ apps: await listGrants(auth, { tid, oid }) })
    }),
  )
  router.delete(
    '/users/:tid/:oid',
    end(({ tid, oid }) => revokeUser(auth, { tid, oid })),
  )
  router.delete(
    '/clients/:client_id',
    end(({ client_id }) => revokeClient(auth, client_id)),
  )
  router.delete(
    '/tenants/:tid',
    end(({ tid }) => revokeTenant(auth, tid)),
  )
  return router
}

/** The parameters of all the routes: each of them reads those that its path names. */
interface Ids {
  readonly tid: string
  readonly oid: string
  readonly client_id: string
}

function end(access: (ids: Ids) => Promise<void>): RequestHandler {
  return answer(async (ids, res) => {
    await access(ids)
    res.status(204).end()
  })
}

/**
 * The library says with a `TypeError` which id is none: that is the caller's mistake. While the store is out of reach it
 * says so with an `OAuthError`: nothing is certain to have ended, and the caller tries again.
 */
function answer(
  handle: (ids: Ids, res: Parameters<RequestHandler>[1]) => Promise<void>,
): RequestHandler {
  return async (req, res, next) => {
    try {
      await handle(req.params as unknown as Ids, res)
    } catch (error) {
      if (error instanceof OAuthError) {
        if (error.retryAfter !== undefined) res.set('Retry-After', String(error.retryAfter))
        res.status(error.status).json(error.toBody())
        return
      }
      if (!(error instanceof TypeError)) return next(error)
      res.status(400).json({ error: 'invalid_request', error_description: error.message })
    }
  }
}
