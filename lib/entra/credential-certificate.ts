/** A certificate as the app's credential: no secret is ever sent. */
import {
  createHash,
  createPrivateKey,
  type KeyObject,
  randomUUID,
  X509Certificate,
} from 'node:crypto'
import { readFileSync } from 'node:fs'
import { SignJWT } from 'jose'
import type { Clock } from '../async/clock.js'
import { cachedAssertion } from './assertion-cache.js'
import type { ClientCredential, CredentialContext } from './credentials.js'
import { EntraError } from './errors.js'
import { freshFiles } from './fresh-files.js'

/** The certificate and its key: as PEM texts, or in files that may be replaced at any time. */
export type ClientCertificateOptions = (
  | { readonly certificate: string; readonly privateKey: string }
  | {
      /** A PEM file with the certificate, and with the key unless `keyPath` names another file. */
      readonly path: string
      readonly keyPath?: string
    }
) & {
  /** The passphrase of an encrypted key. */
  readonly passphrase?: string
  /** Sends the certificates too (`x5c`), for apps that trust a subject and an issuer instead of one certificate. */
  readonly sendX5c?: boolean
  readonly now?: Clock
}

/** Seconds an assertion lives. */
const lifetime = 600

/**
 * Authenticates with assertions signed by the certificate's key: PS256, `x5t#S256`. A file is read again when it has
 * changed, so a renewed certificate needs no restart. Until the new certificate and key fit, the old pair stays in use.
 *
 * @throws TypeError for a certificate that cannot be read, a key that is not RSA with 2048 bits or more, or a key that
 *   does not belong to the certificate
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
  // The files are read at start, so that mistakes show at once.
  const readSigner = freshFiles(paths, make, make(paths.map(readNow)))
  return async function clientCertificateCredential(context) {
    return (await readSigner())(context)
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
      'clientCertificate: no certificate found: it begins with -----BEGIN CERTIFICATE-----',
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
      'clientCertificate: no private key found: it begins with -----BEGIN PRIVATE KEY-----',
    )
  }
  const key = decryptKey(found[0], passphrase)
  const { modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return key
  throw new TypeError('clientCertificate: Entra only takes RSA keys of 2048 bits or more')
}

function decryptKey(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) })
  } catch {
    // No cause: OpenSSL's message may contain parts of the key.
    throw new TypeError(
      'clientCertificate: the private key cannot be read: check the passphrase, which an encrypted key needs',
    )
  }
}
