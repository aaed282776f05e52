/**
 * Entra's side of a login, on loopback, in a process of its own: whoever asks is signed in at once. Access tokens are
 * signed ahead, so that Entra is never what a proxy waits for; an id token is signed when it has to repeat a nonce.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { answerParent } from '../answer-parent.js'
import { accessTokenClaims, entraSettings, makeEntraKey } from '../entra-tokens.js'

/** Users who take turns. By the time one comes again, a thousand others were there. */
const users = 1024
/** Refresh tokens of Entra's are about as long. */
const padding = randomBytes(850).toString('base64url')

const codes = new Map()
let nextUser = 0

answerParent({ start })

/** @returns what a proxy has to know */
async function start() {
  const server = createServer()
  server.keepAliveTimeout = 60_000
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const url = `http://127.0.0.1:${server.address().port}`
  const settings = entraSettings(url)
  const key = makeEntraKey(url)
  const people = Array.from({ length: users }, () => makePerson(settings, key))
  server.on('request', (req, res) => {
    const { pathname, searchParams } = new URL(req.url, url)
    if (pathname.endsWith('/authorize')) return authorize(searchParams, res)
    if (pathname.endsWith('/token')) return token(req, res, { people, settings, key })
    if (pathname.endsWith('/keys')) return answer(res, 200, { keys: [key.jwk] })
    res.writeHead(404).end()
  })
  return settings
}

/** A user, with the tokens of the login and of the refresh that follows. */
function makePerson(settings, key) {
  const identity = {
    oid: randomUUID(),
    sub: randomBytes(32).toString('base64url'),
    name: 'Adele Vance',
    sid: randomUUID(),
  }
  const accessToken = () => key.sign(accessTokenClaims(settings, identity))
  return {
    identity,
    atLogin: accessToken(),
    atRefresh: accessToken(),
    idToken: idToken(settings, key, identity),
  }
}

function idToken(settings, key, identity, nonce) {
  const { scp, azp, azpacr, ...claims } = accessTokenClaims(settings, identity)
  return key.sign({ ...claims, ...(nonce && { nonce }) })
}

function authorize(params, res) {
  const code = `1.${randomBytes(24).toString('base64url')}.${padding.slice(0, 600)}`
  codes.set(code, { nonce: params.get('nonce') })
  const location = new URL(params.get('redirect_uri'))
  location.searchParams.set('code', code)
  if (params.has('state')) location.searchParams.set('state', params.get('state'))
  res.writeHead(302, { location: location.href, 'content-length': 0 }).end()
}

async function token(req, res, entra) {
  const chunks = []
  for await (const chunk of req) chunks.push(chunk)
  const params = new URLSearchParams(Buffer.concat(chunks).toString())
  const found = params.has('refresh_token') ? refresh(params, entra) : redeem(params, entra)
  if (!found) return answer(res, 400, { error: 'invalid_grant' })
  answer(res, 200, {
    token_type: 'Bearer',
    scope: `api://${entra.settings.clientId}/notes.read openid profile offline_access`,
    expires_in: 3900,
    ext_expires_in: 3900,
    ...found,
  })
}

function redeem(params, { people, settings, key }) {
  const code = params.get('code')
  const login = codes.get(code)
  if (!login) return undefined
  codes.delete(code)
  const user = nextUser++ % users
  const { atLogin, identity, ...person } = people[user]
  return {
    access_token: atLogin,
    refresh_token: refreshToken(user),
    id_token: login.nonce ? idToken(settings, key, identity, login.nonce) : person.idToken,
  }
}

function refresh(params, { people }) {
  const user = Number(params.get('refresh_token').split('.')[1])
  if (!people[user]) return undefined
  return {
    access_token: people[user].atRefresh,
    refresh_token: refreshToken(user),
    id_token: people[user].idToken,
  }
}

function refreshToken(user) {
  return `1.${user}.${randomBytes(24).toString('base64url')}.${padding}`
}

function answer(res, status, body) {
  const text = JSON.stringify(body)
  res
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
    })
    .end(text)
}
