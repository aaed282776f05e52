/** A certificate authority for one run, and a server certificate for loopback signed by it. */

/** PEM texts. */
export interface LoopbackCertificate {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

/**
 * Makes the certificates.
 *
 * @throws Error when the package `selfsigned` is not installed
 */
export async function createCertificate(host: string): Promise<LoopbackCertificate> {
  const { generate } = await importSelfsigned()
  const common = { keyType: 'ec', algorithm: 'sha256', notBeforeDate: yesterday() } as const
  const authority = await generate([{ name: 'commonName', value: 'Entra emulator CA' }], {
    ...common,
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  })
  const server = await generate([{ name: 'commonName', value: host }], {
    ...common,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: loopbackNames(host) },
    ],
  })
  return { ca: authority.cert, cert: server.cert, key: server.private }
}

async function importSelfsigned() {
  try {
    return await import('selfsigned')
  } catch (cause) {
    throw new Error(
      'startEntra: `https: true` needs the package "selfsigned": npm i -D selfsigned',
      { cause },
    )
  }
}

type AltName = { type: 2; value: string } | { type: 7; ip: string }

function loopbackNames(host: string): AltName[] {
  const names = [...new Set(['localhost', host])].map((value): AltName => ({ type: 2, value }))
  return [...names, { type: 7, ip: '127.0.0.1' }, { type: 7, ip: '::1' }]
}

/** The clocks of clients may be slow. */
function yesterday(): Date {
  return new Date(Date.now() - 24 * 3600 * 1000)
}
