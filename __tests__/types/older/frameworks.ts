/** Compiled, never run: our middlewares in Express 4 and in Connect. */
import connect from 'connect'
import express from 'express'
import {
  authOf,
  type EntraAuthOptions,
  entraAuth,
  oauthRoutes,
  oboToken,
  requireBearer,
  resourceMetadata,
  scopeGuard,
  userOf,
} from 'mcp-entra'

declare const options: EntraAuthOptions
const auth = entraAuth(options)
const guards = [
  requireBearer(auth),
  scopeGuard(auth, { tools: { add_note: 'notes.write' } }),
  oboToken(auth, { graph: { scopes: ['https://graph.microsoft.com/User.Read'] } }),
]

const app = express()
app.use(oauthRoutes(auth))
app.use(resourceMetadata(auth))
app.all('/mcp', ...guards, (req, res) => {
  res.json({ oid: userOf(authOf(req)).oid, body: req.body })
})
express.Router().post('/notes', requireBearer(auth), scopeGuard('notes.write'))

const plain = connect()
plain.use(oauthRoutes(auth))
for (const guard of guards) plain.use('/mcp', guard)
plain.use('/mcp', (req, res) => {
  res.end(userOf(authOf(req)).oid)
})
