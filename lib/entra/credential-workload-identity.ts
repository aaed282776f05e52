/** A Kubernetes service account as the app's credential: AKS writes its token into a file and keeps it current. */
import { causeText } from './cause-text.js'
import type { ClientCredential } from './credentials.js'
import { EntraError } from './errors.js'
import { freshFiles } from './fresh-files.js'

/** Options of {@link workloadIdentity}. */
export interface WorkloadIdentityOptions {
  /**
   * The file AKS projects the token into: the value of `AZURE_FEDERATED_TOKEN_FILE`. Default
   * `/var/run/secrets/azure/tokens/azure-identity-token`, the usual place.
   */
  readonly tokenFile?: string
}

/** Where the webhook of AKS mounts the token. */
const usualFile = '/var/run/secrets/azure/tokens/azure-identity-token'

/**
 * Authenticates with the token in a file, which is read again whenever it has changed. The file may be missing at start.
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
  const readToken = freshFiles([tokenFile], ([text = '']) => parseToken(text))
  return async function workloadIdentityCredential() {
    try {
      return { assertion: await readToken() }
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

function parseToken(text: string): string {
  const token = text.trim()
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) return token
  // The file may be half-written. The token from before stays in use.
  throw new TypeError('the file does not contain a JWT')
}
