/** One MSAL application for everybody, as its samples show it, over a network that answers at once. */
import { ConfidentialClientApplication } from '@azure/msal-node'

const clientId = 'b3c1f9d2-0c44-4a53-8f0a-6d7f5e2c9a01'
const scopes = ['https://graph.microsoft.com/User.Read']

export function sharedMsal() {
  let answer
  let exchanges = 0
  const networkClient = {
    sendGetRequestAsync: () => Promise.reject(new Error('no discovery is needed')),
    async sendPostRequestAsync() {
      exchanges++
      return { status: 200, headers: {}, body: answer }
    },
  }
  const applications = new Map()
  const token = async ({ assertion, tid }) => {
    if (!applications.has(tid)) applications.set(tid, application(tid, networkClient))
    const result = await applications
      .get(tid)
      .acquireTokenOnBehalfOf({ oboAssertion: assertion, scopes })
    return result.accessToken
  }
  return {
    exchanges: () => exchanges,
    fill(user) {
      answer = tokenAnswer(user)
      return token(user)
    },
    token,
  }
}

function application(tenant, networkClient) {
  const authority = `https://login.microsoftonline.com/${tenant}`
  return new ConfidentialClientApplication({
    auth: { clientId, authority, clientSecret: 'x'.repeat(30) },
    system: { networkClient },
  })
}

/** With an id token and `client_info`, by which MSAL tells its users apart. */
function tokenAnswer({ tid, oid, downstreamToken }) {
  const now = Math.floor(Date.now() / 1000)
  const idClaims = {
    aud: clientId,
    iss: `https://login.microsoftonline.com/${tid}/v2.0`,
    iat: now,
    exp: now + 4000,
    name: 'Adele Vance',
    oid,
    preferred_username: `${oid.slice(0, 8)}@contoso.example`,
    sub: oid,
    tid,
    ver: '2.0',
  }
  return {
    token_type: 'Bearer',
    scope: `${scopes[0]} openid profile offline_access`,
    expires_in: 4000,
    ext_expires_in: 4000,
    access_token: downstreamToken,
    id_token: `${encode({ typ: 'JWT', alg: 'RS256' })}.${encode(idClaims)}.c2lnbmF0dXJl`,
    client_info: encode({ uid: oid, utid: tid }),
  }
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
