/** `POST /auth/apps/revoke`: ends the access of one app, or of all. */
import type { ServerResponse } from 'node:http'
import { attribute } from '../http/event-facts.js'
import { redirect } from '../http/respond.js'
import { required } from '../oauth/params.js'
import type { EndpointRequest } from '../routes/context.js'
import type { UserId } from '../tokens/connected-apps.js'
import { type AccountContext, accountView } from './account-context.js'
import { readAccountForm } from './account-form.js'

/** An app that is gone already is no error: whoever presses a button twice gets what they wanted. */
export function revokeApps(context: AccountContext) {
  return async function revokeAppsEndpoint(
    request: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const { session, params } = await readAccountForm(context, { req: request.req, res })
    const { user } = session
    try {
      await endAccess(context, user, required(params, 'app'))
    } catch (error) {
      throw attribute(error, { user })
    }
    redirect(res, 303, accountView(context, request).path('apps'))
  }
}

async function endAccess(
  { connectedApps, report }: AccountContext,
  user: UserId,
  app: string,
): Promise<void> {
  if (app === 'all') {
    await connectedApps.revokeAll(user)
    return report('revocation', { reason: 'user' }, { user })
  }
  const ended = await connectedApps.revoke(user, app)
  if (!ended) return
  const client = { ...ended, onDevice: ended.host === undefined }
  report('revocation', { reason: 'user' }, { user, client })
}
