/**
 * A bare proxy: as little as it takes for a client to register, log in and refresh, with tokens of its own and a store
 * that is sealed. No consent page, nothing that Entra sends is verified, one process. What is above it is somebody's work.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import express from 'express'
import { Pool } from 'undici'
import { listen } from '../listen.js'

const signingKey = randomBytes(32)
const sealingKey = randomBytes(32)
const lifetime = 3600

export async function startProxy({ port, baseUrl, entra }) {
  const store = sealedStore()
  const upstream = upstreamOf(entra, `${baseUrl}/callback`)
  const issue = (id) => issueTokens(store, baseUrl, id)
  const app = express()
    .disable('x-powered-by')
    .get('/.well-known/oauth-authorization-server', (_req, res) => {
      res.json({
        issuer: baseUrl,
        registration_endpoint: `${baseUrl}/register`,
        authorization_endpoint: `${baseUrl}/authorize`,
        token_endpoint: `${baseUrl}/token`,
      })
    })
    .post('/register', express.json(), (req, res) => {
      const client = { client_id: randomId(), ...req.body }
      store.set(`client:${client.client_id}`, client)
      res.status(201).json(client)
    })
    .get('/authorize', (req, res) => {
      const { client_id, redirect_uri, state, code_challenge } = req.query
      const client = store.get(`client:${client_id}`)
      if (!client?.redirect_uris.includes(redirect_uri)) return void res.status(400).end()
      const login = { client_id, redirect_uri, state, code_challenge, verifier: randomId() }
      const id = randomId()
      store.set(`login:${id}`, login)
      res.redirect(upstream.authorizeUrl(id, login.verifier))
    })
    .get('/callback', async (req, res) => {
      const login = store.take(`login:${req.query.state}`)
      if (!login) return void res.status(400).end()
      const tokens = await upstream.redeem(req.query.code, login.verifier)
      const code = randomId()
      store.set(`code:${code}`, { ...login, tokens })
      res.redirect(`${login.redirect_uri}?${new URLSearchParams({ code, state: login.state })}`)
    })
    .post('/token', express.urlencoded({ extended: false }), async (req, res) => {
      const { grant_type, code, code_verifier, refresh_token } = req.body
      if (grant_type === 'refresh_token') {
        const grant = store.take(`refresh:${refresh_token}`)
        if (!grant) return void res.status(400).json({ error: 'invalid_grant' })
        return void res.json(issue(await upstream.refresh(grant.tokens)))
      }
      const login = store.take(`code:${code}`)
      if (!login || sha256(code_verifier) !== login.code_challenge) {
        return void res.status(400).json({ error: 'invalid_grant' })
      }
      res.json(issue(login.tokens))
    })
  await listen(app, port)
}

function issueTokens(store, issuer, tokens) {
  const refreshToken = randomId()
  store.set(`refresh:${refreshToken}`, { tokens })
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, aud: issuer, iat: now, exp: now + lifetime, jti: randomId() }
  return {
    access_token: signHs256(claims),
    token_type: 'Bearer',
    expires_in: lifetime,
    refresh_token: refreshToken,
    scope: 'notes.read',
  }
}

/** The two requests of a proxy to Entra, with undici's plain `request` over connections that stay open. */
function upstreamOf({ clientId, authorizationEndpoint, tokenEndpoint, scope }, redirectUri) {
  const { origin, pathname: path } = new URL(tokenEndpoint)
  const pool = new Pool(origin)
  const scopes = `api://${clientId}/${scope} openid profile offline_access`
  async function send(params) {
    const { body } = await pool.request({
      path,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `${new URLSearchParams({ client_id: clientId, client_secret: 'x'.repeat(40), scope: scopes, ...params })}`,
    })
    return body.json()
  }
  return {
    authorizeUrl: (state, verifier) =>
      `${authorizationEndpoint}?${new URLSearchParams({
        client_id: clientId,
        response_type: 'code',
        redirect_uri: redirectUri,
        scope: scopes,
        state,
        code_challenge: sha256(verifier),
        code_challenge_method: 'S256',
      })}`,
    redeem: (code, code_verifier) =>
      send({ grant_type: 'authorization_code', code, code_verifier, redirect_uri: redirectUri }),
    refresh: ({ refresh_token }) => send({ grant_type: 'refresh_token', refresh_token }),
  }
}

/** Records in a map, each in a box of AES-256-GCM. */
function sealedStore() {
  const records = new Map()
  const get = (key) => open(records.get(key))
  return {
    get,
    set: (key, value) => void records.set(key, seal(value)),
    take(key) {
      const value = get(key)
      records.delete(key)
      return value
    },
  }
}

function seal(value) {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', sealingKey, nonce)
  const sealed = Buffer.concat([cipher.update(JSON.stringify(value)), cipher.final()])
  return { nonce, sealed, tag: cipher.getAuthTag() }
}

function open(box) {
  if (!box) return undefined
  const decipher = createDecipheriv('aes-256-gcm', sealingKey, box.nonce).setAuthTag(box.tag)
  return JSON.parse(Buffer.concat([decipher.update(box.sealed), decipher.final()]).toString())
}

function signHs256(claims) {
  const input = `${encode({ alg: 'HS256', typ: 'JWT' })}.${encode(claims)}`
  return `${input}.${createHmac('sha256', signingKey).update(input).digest('base64url')}`
}

function encode(value) {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function sha256(text) {
  return createHash('sha256').update(text).digest('base64url')
}

function randomId() {
  return randomBytes(32).toString('base64url')
}
