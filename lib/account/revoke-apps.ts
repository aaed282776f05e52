/** `POST /auth/apps/revoke`: ends the access of one app, or of all. */
import type { ServerResponse } from 'node:http'
import { redirect } from '../http/respond.js'
import { required } from '../oauth/params.js'
import type { EndpointRequest } from '../routes/context.js'
import { type AccountContext, accountPaths } from './account-context.js'
import { readAccountForm } from './account-form.js'

/** An app that is gone already is no error: whoever presses a button twice gets what they wanted. */
export function revokeApps(context: AccountContext) {
  return async function revokeAppsEndpoint(
    { req }: EndpointRequest,
    res: ServerResponse,
  ): Promise<void> {
    const { session, params } = await readAccountForm(context, { req, res })
    const app = required(params, 'app')
    if (app === 'all') await context.connectedApps.revokeAll(session.user)
    else await context.connectedApps.revoke(session.user, app)
    redirect(res, 303, context.basePath + accountPaths.apps)
  }
}
