/** A certificate as the app's credential: nothing secret ever goes over the wire. */
import {
  createHash,
  createPrivateKey,
  type KeyObject,
  randomUUID,
  X509Certificate,
} from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SignJWT } from 'jose'
import { cachedAssertion } from './assertion-cache.js'
import type { ClientCredential, CredentialContext } from './credentials.js'
import { EntraError } from './errors.js'
import { freshFiles } from './fresh-files.js'

/** Where certificate and key are: in PEM texts, or in files that may be replaced at any time. */
export type ClientCertificateOptions = (
  | { readonly certificate: string; readonly privateKey: string }
  | {
      /** A PEM file with the certificate, and with the key unless that has a file of its own. */
      readonly path: string
      readonly keyPath?: string
    }
) & {
  /** Of an encrypted key. */
  readonly passphrase?: string
  /** Sends the certificates along (`x5c`), for apps that trust a subject and an issuer instead of one certificate. */
  readonly sendX5c?: boolean
  /** The clock, in milliseconds since the epoch. */
  readonly now?: () => number
}

/** Seconds an assertion lives. */
const lifetime = 600

/**
 * Proves with assertions that the certificate's key signs: PS256, `x5t#S256`. A file is read anew when it has
 * changed, so a renewed certificate needs no restart; until certificate and key fit, the old pair goes on.
 *
 * @throws TypeError for what is no certificate, no RSA key of 2048 bits or more, or not the certificate's key
 * @see https://learn.microsoft.com/entra/identity-platform/certificate-credentials
 * @example
 * entraAuth({ credential: clientCertificate({ path: '/etc/mcp/entra.pem' }), ... })
 */
export function clientCertificate(options: ClientCertificateOptions): ClientCredential {
  const make = (texts: readonly string[]) => signer(readPair(texts, options), options)
  if (!('path' in options)) {
    const fixed = make([text(options, 'certificate'), text(options, 'privateKey')])
    return function clientCertificateCredential(context) {
      return fixed(context)
    }
  }
  const paths = [text(options, 'path'), ...('keyPath' in options ? [text(options, 'keyPath')] : [])]
  // What is wrong with the files is to be heard of at start.
  const current = freshFiles(paths, make, make(paths.map(readNow)))
  return async function clientCertificateCredential(context) {
    return (await current())(context)
  }
}

interface Pair {
  /** The key's own certificate, then those above it. */
  readonly chain: readonly [X509Certificate, ...X509Certificate[]]
  readonly key: KeyObject
}

function signer(
  { chain, key }: Pair,
  { sendX5c = false, now = Date.now }: ClientCertificateOptions,
): ClientCredential {
  const [{ raw, validTo }] = chain
  const header = {
    alg: 'PS256',
    typ: 'JWT',
    'x5t#S256': createHash('sha256').update(raw).digest('base64url'),
    ...(sendX5c && { x5c: chain.map((certificate) => certificate.raw.toString('base64')) }),
  }
  async function sign({ clientId, tokenEndpoint }: CredentialContext): Promise<string> {
    if (Date.parse(validTo) <= now()) throw expired(validTo)
    const seconds = Math.floor(now() / 1000)
    return new SignJWT()
      .setProtectedHeader(header)
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(tokenEndpoint)
      .setJti(randomUUID())
      .setIssuedAt(seconds)
      .setNotBefore(seconds)
      .setExpirationTime(seconds + lifetime)
      .sign(key)
  }
  return cachedAssertion(sign, { now })
}

function expired(validTo: string): EntraError {
  return new EntraError('misconfigured', `the client certificate expired on ${validTo}`, {
    hint: 'Renew the certificate, upload its public part in Entra admin center > App registrations > (this app) > Certificates & secrets > Certificates, and replace the file.',
  })
}

function text(options: object, name: string): string {
  const value: unknown = (options as Record<string, unknown>)[name]
  if (typeof value === 'string' && value !== '') return value
  throw new TypeError(
    `clientCertificate: ${name} is missing: give { certificate, privateKey } in PEM, or { path } of a PEM file`,
  )
}

function readNow(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new TypeError(`clientCertificate: the file cannot be read: ${path}`, { cause })
  }
}

function readPair(texts: readonly string[], { passphrase }: ClientCertificateOptions): Pair {
  const [certificateText = '', keyText = certificateText] = texts
  const certificates = readCertificates(certificateText)
  const key = readKey(keyText, passphrase)
  const own = certificates.find((certificate) => certificate.checkPrivateKey(key))
  if (!own) throw new TypeError("clientCertificate: the private key is not the certificate's")
  return { chain: [own, ...certificates.filter((certificate) => certificate !== own)], key }
}

function readCertificates(pem: string): readonly X509Certificate[] {
  const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  if (found.length === 0) {
    throw new TypeError(
      'clientCertificate: there is no certificate: it begins with -----BEGIN CERTIFICATE-----',
    )
  }
  try {
    return found.map((one) => new X509Certificate(one))
  } catch (cause) {
    throw new TypeError('clientCertificate: the certificate cannot be read', { cause })
  }
}

function readKey(pem: string, passphrase: string | undefined): KeyObject {
  const found = /-----BEGIN ([A-Z ]*)PRIVATE KEY-----[\s\S]+?-----END \1PRIVATE KEY-----/.exec(pem)
  if (!found) {
    throw new TypeError(
      'clientCertificate: there is no private key: it begins with -----BEGIN PRIVATE KEY-----',
    )
  }
  const key = decrypted(found[0], passphrase)
  const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return key
  throw new TypeError('clientCertificate: Entra takes RSA keys of 2048 bits or more only')
}

function decrypted(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) })
  } catch {
    // The cause stays out: what OpenSSL says of a key is nobody's to read.
    throw new TypeError(
      'clientCertificate: the private key cannot be read: check the passphrase, which an encrypted key needs',
    )
  }
}
