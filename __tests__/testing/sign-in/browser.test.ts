/** The browser without a screen, where `signIn` does not lead it. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import { followSignIn } from '../../../lib/testing/sign-in/browser.js'
import { type Entra, listen } from '../../support/host.js'
import { authorizeUrl, pkce, redirectUri } from '../../support/oauth-client.js'
import { startProxy, startTestEntra } from '../../support/proxy.js'

let entra: Entra
beforeAll(async () => {
  entra = await startTestEntra()
})

const user = { as: 'ada@contoso.example', consent: 'approve' } as const

describe('followSignIn', () => {
  it('presses the button of the account on the page of Entra, when no hint reached it', async () => {
    const { url } = await startProxy(entra, {
      clients: [{ client_id: 'ours', client_name: 'Ours', redirect_uris: [redirectUri] }],
    })
    for (const as of ['bob@contoso.example', 'Ada Lovelace ada@contoso.example']) {
      const start = new URL(authorizeUrl(url, 'ours', pkce().challenge))
      const answer = await followSignIn(start, redirectUri, { ...user, as })
      expect(answer.searchParams.get('code')).toBeTruthy()
    }
    expect(entra.requestsTo('authorize').map(({ params }) => params.sign_in_as)).toContain(
      '0000b0b0-0000-4000-8000-000000000002',
    )
  })

  it('gives up when it is sent round in circles', async () => {
    const server = await listen((url) => (_req, res) => {
      res.writeHead(302, { location: `${url}/again?code=secret` }).end()
    })
    try {
      const lost = followSignIn(new URL(server.url), redirectUri, user)
      await expect(lost).rejects.toThrow(
        `The sign-in goes round in circles: after 20 steps at ${server.url}/again`,
      )
      await expect(lost).rejects.not.toThrow('secret')
    } finally {
      await server.close()
    }
  })
})
