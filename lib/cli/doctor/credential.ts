/** The credential in the environment: which one, and what can be said of it without asking Entra. */
import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isGuid } from '../../entra/authority.js'
import { clientCertificate } from '../../entra/credential-certificate.js'
import { workloadIdentity } from '../../entra/credential-workload-identity.js'
import { type ClientCredential, clientSecret } from '../../entra/credentials.js'
import { type Finding, failure, ok, warning } from './finding.js'

type Environment = Readonly<Record<string, string | undefined>>

/** Without a credential there is nothing to ask Entra with. */
export interface FoundCredential {
  readonly findings: readonly Finding[]
  readonly credential?: ClientCredential
}

const renew =
  'create a new one in Entra admin center > App registrations > (this app) > Certificates & secrets'

/**
 * The names are those of @azure/identity's EnvironmentCredential.
 *
 * @param isNeeded whether the server cannot do without: in direct mode only on-behalf-of takes one
 */
export function findCredential(env: Environment, now: number, isNeeded = true): FoundCredential {
  const { AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE } = env
  if (AZURE_CLIENT_SECRET) return secret(AZURE_CLIENT_SECRET)
  if (AZURE_CLIENT_CERTIFICATE_PATH) {
    return certificate(AZURE_CLIENT_CERTIFICATE_PATH, env.AZURE_CLIENT_CERTIFICATE_PASSWORD, now)
  }
  if (AZURE_FEDERATED_TOKEN_FILE) {
    return { findings: [], credential: workloadIdentity({ tokenFile: AZURE_FEDERATED_TOKEN_FILE }) }
  }
  const says =
    'none of AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH and AZURE_FEDERATED_TOKEN_FILE is set'
  // App Service and Container Apps: https://learn.microsoft.com/azure/app-service/overview-managed-identity
  if (env.IDENTITY_ENDPOINT) {
    const seen = `${says}, and this host has a managed identity: whether it is the app’s federated credential cannot be seen from here`
    return { findings: [warning('credential', seen, 'sign in once, and read the log')] }
  }
  if (!isNeeded)
    return {
      findings: [warning('credential', says, `only oboToken needs one: if yours does, ${renew}`)],
    }
  return { findings: [failure('credential', says, renew)] }
}

function secret(value: string): FoundCredential {
  if (isGuid(value.trim())) {
    const says = 'AZURE_CLIENT_SECRET is a GUID: that is the Secret ID, and not the secret'
    return {
      findings: [
        failure('credential', says, `copy the column "Value", which is shown once: ${renew}`),
      ],
    }
  }
  try {
    return { findings: [], credential: clientSecret(value) }
  } catch (error) {
    return { findings: [failure('credential', (error as Error).message, renew)] }
  }
}

const day = 86_400_000
/** Days before the end at which it is time. */
const notice = 30

function certificate(path: string, passphrase: string | undefined, now: number): FoundCredential {
  try {
    const credential = clientCertificate({ path, ...(passphrase && { passphrase }) })
    const finding = checkExpiry(new X509Certificate(readFileSync(path)), now)
    if (finding.status === 'failure') return { findings: [finding] }
    return { findings: [finding], credential }
  } catch (error) {
    return {
      findings: [
        failure(
          'credential',
          (error as Error).message,
          'AZURE_CLIENT_CERTIFICATE_PATH must name a PEM file with certificate and key',
        ),
      ],
    }
  }
}

function checkExpiry({ validFrom, validTo }: X509Certificate, now: number): Finding {
  const remedy = `upload the public part of a new one: ${renew} > Certificates`
  if (Date.parse(validTo) <= now) {
    return failure('certificate', `it expired on ${validTo}: every login fails`, remedy)
  }
  if (Date.parse(validFrom) > now) {
    return failure('certificate', `it is good only from ${validFrom}`, 'use one that is good now')
  }
  const days = Math.floor((Date.parse(validTo) - now) / day)
  if (days < notice) return warning('certificate', `it expires in ${days} days`, remedy)
  return ok('certificate', `good for ${days} days`)
}
