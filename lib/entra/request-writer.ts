/**
 * Requests to the token endpoint, as MSAL writes them. MSAL takes 90 microseconds for one, so it writes each kind once,
 * with blanks for the values that change, and filling those in takes 2. What is sent is what MSAL would have sent.
 */
import { randomUUID } from 'node:crypto'
import type { ConfidentialClientApplication, NetworkRequestOptions } from '@azure/msal-node'
import { boundedMap, jsonBytes } from '../async/bounded-map.js'
import type { EntraAuthority } from './authority.js'
import { EntraError } from './errors.js'
import { loadMsal } from './msal.js'

/** A grant, in the words of MSAL. */
export interface GrantRequest {
  /** Everything in the request but its values: equal kinds are the same request. */
  readonly kind: readonly string[]
  /** Secrets, codes and tokens, by the name of their blank. */
  readonly values: Readonly<Record<string, string>>
  /** Asks MSAL for the request, with `blank(name)` for each of the values. */
  write(
    msal: ConfidentialClientApplication,
    blank: (name: string) => string,
    correlationId: string,
  ): Promise<unknown>
}

/** A request that is ready to be sent. */
export interface WrittenRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** How the app proves who it is: by which of the two, and not with what. */
export type ProofKind = 'secret' | 'assertion'

/** Writes a request. @throws EntraError `misconfigured` when MSAL refuses to write it */
export type WriteRequest = (
  grant: GrantRequest,
  proof: { readonly kind: ProofKind; readonly value: string },
  tenant: string,
  correlationId: string,
) => Promise<WrittenRequest>

/** Literal text and the names of blanks, in turn. */
type Form = readonly string[]

interface Template {
  readonly url: Form
  readonly headers: Readonly<Record<string, string>>
  readonly body: Form
}

/**
 * Bytes of requests to remember: some hundred kinds, one for each grant, tenant and list of scopes. The claims of a
 * challenge make another kind, and may be long.
 */
const rememberedBytes = 1024 * 1024

/** Nothing that an operator or a stranger writes can look like a blank. */
const marker = randomUUID()
const blank = (name: string) => `${name}.${marker}`
const blanks = new RegExp(`(\\w+)\\.${marker}`)

/** Makes the writer of an app registration. */
export function requestWriter(authority: EntraAuthority, clientId: string): WriteRequest {
  const templates = boundedMap<Template>({ maxBytes: rememberedBytes, sizeOf: jsonBytes })

  async function templateFor(grant: GrantRequest, proof: ProofKind, tenant: string) {
    const key = JSON.stringify([proof, tenant, ...grant.kind])
    const known = templates.get(key)
    if (known) return known
    const template = await askMsal(grant, configurationOf(authority, clientId, tenant, proof))
    templates.set(key, template)
    return template
  }

  return async function writeRequest(grant, { kind, value }, tenant, correlationId) {
    const { url, headers, body } = await templateFor(grant, kind, tenant)
    const values = { ...grant.values, proof: value, correlationId }
    return { url: fill(url, values), headers, body: fill(body, values) }
  }
}

type Configuration = ReturnType<typeof configurationOf>

/** Metadata is supplied, so MSAL makes no discovery request. MSAL insists on https there, but not in the metadata. */
function configurationOf(
  authority: EntraAuthority,
  clientId: string,
  tenant: string,
  proof: ProofKind,
) {
  const { host } = new URL(authority.host)
  return {
    auth: {
      clientId,
      authority: `https://${host}/${tenant}`,
      knownAuthorities: [host],
      authorityMetadata: JSON.stringify({
        authorization_endpoint: authority.authorizationEndpoint(tenant),
        token_endpoint: authority.tokenEndpoint(tenant),
        issuer: `https://${host}/${tenant}/v2.0`,
        jwks_uri: authority.jwksUri,
      }),
      ...(proof === 'secret'
        ? { clientSecret: blank('proof') }
        : { clientAssertion: blank('proof') }),
    },
  }
}

/** Lets MSAL make the request, and keeps it from the network. */
async function askMsal(grant: GrantRequest, configuration: Configuration): Promise<Template> {
  let template: Template | undefined
  const networkClient = {
    // Never called, so no test covers it: there is nothing to discover.
    sendGetRequestAsync: () => Promise.reject(new Error('MSAL has all metadata and needs no GET')),
    async sendPostRequestAsync<T>(
      url: string,
      { headers = {}, body = '' }: NetworkRequestOptions = {},
    ) {
      template = { url: url.split(blanks), headers, body: body.split(blanks) }
      return { status: 200, headers: {}, body: {} as T }
    },
  }
  let refusal: unknown
  try {
    const { ConfidentialClientApplication } = await loadMsal()
    const msal = new ConfidentialClientApplication({ ...configuration, system: { networkClient } })
    await grant.write(msal, blank, blank('correlationId'))
  } catch (error) {
    refusal = error
  }
  // What MSAL makes of the empty answer does not matter.
  if (template) return template
  // Its message may quote the request, so it is only the cause.
  throw new EntraError('misconfigured', 'MSAL did not make the request', { cause: refusal })
}

function fill(form: Form, values: Readonly<Record<string, string>>): string {
  return form
    .map((part, index) => (index % 2 === 0 ? part : encodeURIComponent(values[part] ?? '')))
    .join('')
}
