/** Pages in the language of their reader: by the client's `ui_locales`, then by the browser's own wish. */
import { beforeAll, describe, expect, it } from '@jest/globals'
import type { RefusalEvent } from 'mcp-entra'
import { formRequest, type Page } from '../../examples/demo/browser.js'
import {
  app,
  fakeApps,
  formWith,
  openApps,
  signInAtAccount,
  signOutForm,
  startAccountProxy,
} from '../support/account.js'
import type { Entra } from '../support/host.js'
import { ada, authorizeUrl, newBrowser, pkce, register } from '../support/oauth-client.js'
import {
  approve,
  clientAnswer,
  hear,
  openConsent,
  signInAtEntra,
  startProxy,
  startTestEntra,
  type TestProxy,
  testClock,
} from '../support/proxy.js'

let entra: Entra
let proxy: TestProxy
const clock = testClock()
beforeAll(async () => {
  entra = await startTestEntra()
  proxy = await startProxy(entra, { resourceName: 'Notes', now: clock.now })
})

const german = { 'accept-language': 'de-AT,de;q=0.9,en;q=0.8' }
const web = 'https://client.example/cb'

function expectLanguage(page: Page, language: string, heading: string): void {
  expect(page.headers.get('content-language')).toBe(language)
  expect(page.html).toContain(`<html lang="${language}">`)
  expect(page.html.replace(/<\/?bdi[^>]*>/g, '')).toContain(`<h1>${heading}</h1>`)
}

/** The reference that a page shows. */
function referenceOn({ html }: Page): string {
  return /<code>([0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4})<\/code>/.exec(html)?.[1] ?? 'none'
}

describe('the consent page', () => {
  async function ask(ui_locales?: string, headers: Record<string, string> = {}) {
    const clientId = await register(proxy.url, { client_name: 'My client' })
    const url = authorizeUrl(proxy.url, clientId, pkce().challenge, { ui_locales })
    return newBrowser().fetchOnce(url, { headers })
  }

  it('speaks the language that the browser asks for', async () => {
    expectLanguage(await ask(undefined, german), 'de', 'Darf My client Notes benutzen?')
    expectLanguage(await ask(), 'en', 'Allow My client to use Notes?')
    const page = await ask(undefined, german)
    expect(page.html).toContain(
      '<button type="submit" name="action" value="deny">Ablehnen</button>',
    )
    expect(page.html).toContain(
      '<button type="submit" name="action" value="approve">Zustimmen</button>',
    )
    expect(page.html).toContain('melden Sie sich als Nächstes bei Microsoft an')
  })

  it("speaks the client's language before the browser's (OpenID Connect Core 1.0 section 3.1.2.1)", async () => {
    expectLanguage(await ask('fr-CA de en'), 'de', 'Darf My client Notes benutzen?')
    expectLanguage(await ask('en', german), 'en', 'Allow My client to use Notes?')
    expectLanguage(await ask('fr', german), 'de', 'Darf My client Notes benutzen?')
  })

  it.each([
    '',
    '"><script>alert(1)</script>',
    `de ${'x'.repeat(600)}`,
    '__proto__',
    '-',
    'de\u00a0en',
  ])('passes over ui_locales=%j', async (uiLocales) => {
    const page = await ask(uiLocales)
    expect(page.status).toBe(200)
    expectLanguage(page, 'en', 'Allow My client to use Notes?')
    expect(page.html).not.toContain('<script')
  })

  it('carries the language to where its form goes, and only when the client named one', async () => {
    expect((await ask('de-CH')).html).toContain('action="/consent?ui_locales=de"')
    expect((await ask(undefined, german)).html).toContain('action="/consent"')
  })

  it('asks nothing of Entra about languages: it documents no parameter for it', async () => {
    const { upstream } = await approve(proxy.url, { params: { ui_locales: 'de' } })
    expect(
      [...upstream.searchParams.keys()].filter((name) => /locale|mkt|lang/i.test(name)),
    ).toEqual([])
    const login = await signInAtEntra(proxy.url, { params: { ui_locales: 'de' } })
    expect(clientAnswer(await login.browser.fetchOnce(login.callback))).toHaveProperty('code')
  })
})

describe('the page about an error', () => {
  const refused = 'Diese Anmeldung kann nicht fortgesetzt werden'

  it('speaks the language of the client or of the browser, before the client is known', async () => {
    const url = `${proxy.url}/authorize?client_id=x&redirect_uri=https%3A%2F%2Fa.example%2F`
    const browser = newBrowser()
    expectLanguage(await browser.fetchOnce(`${url}&ui_locales=de`), 'de', refused)
    expectLanguage(await browser.fetchOnce(url, { headers: german }), 'de', refused)
    expectLanguage(await browser.fetchOnce(url), 'en', 'This sign-in cannot go on')
    // A parameter that comes twice is refused, and still tells in which language.
    const twice = await browser.fetchOnce(`${url}&ui_locales=de&ui_locales=en`)
    expect(twice.status).toBe(400)
    expectLanguage(twice, 'de', refused)
  })

  it('explains to the user in their language, and leaves details to those who help', async () => {
    const unknown = await newBrowser().fetchOnce(`${proxy.url}/authorize?client_id=x&ui_locales=de`)
    expect(unknown.html).toContain('Diese Anwendung ist hier nicht registriert.')
    expect(unknown.html).not.toContain('not registered')
    const wrong = await newBrowser().fetchOnce(`${proxy.url}/authorize?ui_locales=de`)
    expect(wrong.html).toContain('Die Anwendung hat eine Anfrage geschickt')
    expect(wrong.html).toContain('<span lang="en">&#39;client_id&#39; is missing</span>')
  })

  it('of a form that cannot be read speaks the language that the form was in', async () => {
    const { page } = await openConsent(proxy.url, { params: { ui_locales: 'de' } })
    const lost = await newBrowser().fetchOnce(...formRequest(page, 'approve'))
    expect(lost.status).toBe(403)
    expectLanguage(lost, 'de', refused)
    expect(lost.html).toContain('Diese Seite ist abgelaufen')
  })

  it('that links to the application does so in the language of the client', async () => {
    const clientId = await register(proxy.url, { redirect_uris: [web] })
    const params = { redirect_uri: web, scope: 'nonsense', ui_locales: 'de' }
    const { page } = await openConsent(proxy.url, { clientId, params })
    expect(page.status).toBe(400)
    expectLanguage(page, 'de', refused)
    expect(page.html).toContain('>Zurück zur Anwendung</a>')
    expect(page.html).toContain('den es auf diesem Server nicht gibt. (<code>invalid_scope</code>)')
  })
})

describe('the account pages', () => {
  const apps = fakeApps()
  let url: string
  beforeAll(async () => {
    url = (await startAccountProxy(entra, { apps })).url
  })

  it('keep the language that the link to them names, through the sign-in and from page to page', async () => {
    apps.byUser.set(ada, [app()])
    const { browser, page } = await openApps(url, ada, newBrowser(), '?ui_locales=de-CH%20en')
    expect(page.url).toBe(`${url}/auth/apps?ui_locales=de`)
    expectLanguage(page, 'de', 'Verbundene Anwendungen')
    const revoked = await browser.fetchOnce(...formWith(page, 'app', 'all'))
    expect(revoked.headers.get('location')).toBe('/auth/apps?ui_locales=de')
    expect(apps.byUser.has(ada)).toBe(false)
    const signedOut = await browser.open(...signOutForm(page))
    expectLanguage(signedOut, 'de', 'Sie sind abgemeldet')
    expect(signedOut.html).toContain('<a href="/auth/apps?ui_locales=de">')
    const late = await browser.fetchOnce(...signOutForm(page))
    expect(late.status).toBe(403)
    expectLanguage(late, 'de', 'Diese Anmeldung kann nicht fortgesetzt werden')
    expect(late.html).toContain('Diese Seite ist abgelaufen')
  })

  it('keep it when Entra refuses the sign-in', async () => {
    const remove = entra.fault({ at: 'authorize', error: 65004 })
    const { browser, callback } = await signInAtAccount(url, ada, newBrowser(), '?ui_locales=de')
    const page = await browser.fetchOnce(callback)
    remove()
    expect(page.status).toBe(403)
    expectLanguage(page, 'de', 'Diese Anmeldung kann nicht fortgesetzt werden')
  })

  it.each([
    '',
    '?ui_locales=fr',
    '?ui_locales=%22%3E%3Cscript%3E',
    `?ui_locales=de%20${'x'.repeat(600)}`,
  ])('leave the choice to the browser without one that there is (%s)', async (query) => {
    const { browser, page } = await openApps(url, ada, newBrowser(), query)
    expect(page.url).toBe(`${url}/auth/apps`)
    expectLanguage(page, 'en', 'Connected apps')
    const again = await browser.fetchOnce(`${url}/auth/apps${query}`, { headers: german })
    expectLanguage(again, 'de', 'Verbundene Anwendungen')
    expect(again.html).not.toContain('ui_locales')
    expect(again.html).not.toContain('<script')
  })
})

describe('a sign-in that has been completed before', () => {
  /** The same answer of Entra, twice, in the same browser: by the back button, say. */
  async function completeTwice(redirect_uri: string) {
    const clientId = await register(proxy.url, { redirect_uris: [redirect_uri] })
    const params = { redirect_uri, ui_locales: 'de' }
    const { browser, callback } = await signInAtEntra(proxy.url, { clientId, params })
    const cookies = await browser.jar.getCookieString(callback)
    const first = await browser.fetchOnce(callback)
    expect(first.status).toBe(302)
    // A second tab had sent its request before the answer to the first cleared the cookie.
    return newBrowser().fetchOnce(callback, { headers: { cookie: cookies } })
  }

  it('ends on a page with a link to the site of the application, and no answer for it', async () => {
    const page = await completeTwice(`${web}?a=1`)
    expect(page.status).toBe(403)
    expectLanguage(page, 'de', 'Diese Anmeldung kann nicht fortgesetzt werden')
    expect(page.html).toContain('Diese Anmeldung ist schon abgeschlossen.')
    expect(page.html).toContain(
      '<a href="https://client.example/" rel="noreferrer noopener nofollow">Zurück zur Anwendung</a>',
    )
    expect(page.html).toContain('<strong>client.example</strong>')
  })

  it('ends on a page without a link when a program on the device waits', async () => {
    const page = await completeTwice('http://127.0.0.1:33418/callback')
    expect(page.status).toBe(403)
    expectLanguage(page, 'de', 'Diese Anmeldung kann nicht fortgesetzt werden')
    expect(page.html).not.toContain('<a ')
  })
})

describe('the reference on the page about an error', () => {
  const refusals = hear('mcp-entra:refusal') as RefusalEvent[]

  async function problems(): Promise<Page[]> {
    const browser = newBrowser()
    const clientId = await register(proxy.url, { redirect_uris: [web] })
    const params = { redirect_uri: web, scope: 'nonsense' }
    const { page: form } = await openConsent(proxy.url)
    return [
      await browser.fetchOnce(`${proxy.url}/authorize`),
      await browser.fetchOnce(`${proxy.url}/authorize?client_id=x`),
      await browser.fetchOnce(`${proxy.url}/auth/callback?code=a&state=b`),
      await browser.fetchOnce(...formRequest(form, 'approve')),
      (await openConsent(proxy.url, { clientId, params })).page,
    ]
  }

  it('is the one in the event and in the log, and another one each time', async () => {
    const references = (await problems()).map(referenceOn)
    expect(new Set(references).size).toBe(5)
    for (const reference of references) {
      expect(reference).toMatch(/^.{4}-.{4}$/)
      expect(refusals.filter((event) => event.reference === reference)).toHaveLength(1)
      expect(proxy.logs.filter((line) => line.reference === reference)).toHaveLength(1)
    }
  })

  it('is in no event about an answer to a program', async () => {
    refusals.length = 0
    await fetch(`${proxy.url}/token`, { method: 'POST' })
    expect(refusals).toEqual([expect.not.objectContaining({ reference: expect.anything() })])
  })
})

describe('tables of texts and branding', () => {
  it('show on the pages of a server that has them, and in its metadata', async () => {
    const { english } = await import('../../lib/pages/english.js')
    const own = await startProxy(entra, {
      texts: { fr: { ...english, approve: 'Autoriser', deny: 'Refuser' } },
      branding: { name: 'Contoso', logo: '/logo.svg', supportUrl: 'mailto:help@contoso.com' },
    })
    const { page } = await openConsent(own.url, { params: { ui_locales: 'fr' } })
    expect(page.headers.get('content-language')).toBe('fr')
    expect(page.html).toContain('value="approve">Autoriser</button>')
    expect(page.html).toContain('<img src="/logo.svg" alt=""><span>Contoso</span>')
    expect(page.headers.get('content-security-policy')).toContain(`img-src ${own.url}/logo.svg;`)
    const problem = await newBrowser().fetchOnce(`${own.url}/authorize`)
    expect(problem.html).toContain('<a href="mailto:help@contoso.com" rel="noreferrer noopener">')
    const metadata = await fetch(`${own.url}/.well-known/oauth-authorization-server`)
    expect(await metadata.json()).toMatchObject({ ui_locales_supported: ['en', 'de', 'fr'] })
    await own.close()
  })
})
