/** A Kubernetes service account as the app's credential: AKS puts its token into a file and replaces it. */
import { causeText } from './cause-text.js'
import type { ClientCredential } from './credentials.js'
import { EntraError } from './errors.js'
import { freshFiles } from './fresh-files.js'

/** Where the token is. */
export interface WorkloadIdentityOptions {
  /**
   * The file AKS projects the token into: what `AZURE_FEDERATED_TOKEN_FILE` says. Default
   * `/var/run/secrets/azure/tokens/azure-identity-token`, where it is as a rule.
   */
  readonly tokenFile?: string
}

/** Where the webhook of AKS mounts it. */
const usualFile = '/var/run/secrets/azure/tokens/azure-identity-token'

/**
 * Proves with the token in a file, read anew each time it has changed. It need not be there at start.
 *
 * @throws TypeError for an empty path
 * @see https://learn.microsoft.com/azure/aks/workload-identity-overview
 * @example
 * entraAuth({ credential: workloadIdentity({ tokenFile: process.env.AZURE_FEDERATED_TOKEN_FILE }), ... })
 */
export function workloadIdentity(options: WorkloadIdentityOptions = {}): ClientCredential {
  const { tokenFile = usualFile } = options
  if (typeof tokenFile !== 'string' || tokenFile === '') {
    throw new TypeError('workloadIdentity: tokenFile must be the path of a file')
  }
  const current = freshFiles([tokenFile], ([text = '']) => tokenIn(text))
  return async function workloadIdentityCredential() {
    try {
      return { assertion: await current() }
    } catch (cause) {
      throw new EntraError(
        'misconfigured',
        `no token can be read from ${tokenFile}: ${causeText(cause)}`,
        {
          cause,
          hint: 'In AKS, label the pod azure.workload.identity/use: "true" and its service account with the client id, and enable the workload identity of the cluster. The path is in AZURE_FEDERATED_TOKEN_FILE.',
        },
      )
    }
  }
}

function tokenIn(text: string): string {
  const token = text.trim()
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token
  throw new TypeError('the file holds no JWT') // Half-written, perhaps: what it held before goes on.
}
