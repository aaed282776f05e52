/** `mcp-entra doctor`: says what is wrong, what it means, and how to mend it. */

import { hasUserinfo } from '../../oauth/userinfo.js'
import { exitCodes } from '../exit-codes.js'
import type { Io } from '../io.js'
import { readPathOption } from '../path-option.js'
import { UsageError } from '../usage-error.js'
import { checkServer } from './check-server.js'
import { type CheckedServer, checkSettings } from './check-settings.js'
import { type Diagnosis, formatDiagnosis } from './finding.js'

export interface DoctorOptions extends Partial<CheckedServer> {
  readonly scope?: readonly string[]
  readonly json?: boolean
}

/**
 * @returns 1 when a check failed
 * @throws UsageError for a URL that is none, and for an environment without any of the settings
 */
export async function doctor(
  url: string | undefined,
  options: DoctorOptions,
  io: Io,
): Promise<number> {
  const diagnosis = await diagnose(url, options, io)
  io.out(options.json ? `${JSON.stringify(diagnosis, null, 2)}\n` : formatDiagnosis(diagnosis))
  const isBad = diagnosis.findings.some(({ status }) => status === 'failure')
  return isBad ? exitCodes.failure : exitCodes.ok
}

function diagnose(
  url: string | undefined,
  { scope = [], mode = 'proxy', resource = '/mcp' }: DoctorOptions,
  io: Io,
): Promise<Diagnosis> {
  if (url !== undefined) {
    const forSettings = scope.length > 0 ? '--scope' : mode === 'direct' && '--mode'
    if (forSettings) throw new UsageError(`${forSettings} is for the settings: leave the URL out`)
    return checkServer(readUrl(url), io.env.AZURE_AUTHORITY_HOST, io.now)
  }
  if (!['BASE_URL', 'AZURE_TENANT_ID', 'AZURE_CLIENT_ID'].some((name) => io.env[name])) {
    throw new UsageError(
      'doctor: give the URL of a server, or set BASE_URL, AZURE_TENANT_ID, AZURE_CLIENT_ID … (node --env-file=.env)',
    )
  }
  return checkSettings(
    io.env,
    { mode, resource: readPathOption('--resource', resource) },
    scope,
    io.now,
  )
}

function readUrl(given: string): URL {
  const url = URL.canParse(given) ? new URL(given) : undefined
  if (!url || !/^https?:$/.test(url.protocol) || hasUserinfo(url) || url.search || url.hash) {
    throw new UsageError(
      'doctor: give the URL of the MCP endpoint, such as https://mcp.contoso.com/mcp',
    )
  }
  return url
}
