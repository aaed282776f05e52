/** The options about pages: what is taken, and what each wrong one is told. */
import { describe, expect, it } from '@jest/globals'
import { type BrandingOptions, entraAuth, entraScopes, type PageTexts } from '../../lib/index.js'
import { english } from '../../lib/pages/english.js'
import { german } from '../../lib/pages/german.js'
import { html } from '../../lib/pages/html.js'
import { page } from '../../lib/pages/page.js'
import { type PageOptions, readPageOptions } from '../../lib/setup/page-options.js'

const base = 'https://mcp.contoso.com/base'

function pageWith(options: PageOptions, uiLocales?: string) {
  const look = readPageOptions(options, base).forReader({ headers: {} } as never, uiLocales)
  return page(look, 'Title', html`<h1>x</h1>`)
}

const withBranding = (branding: BrandingOptions) => pageWith({ branding })

describe('branding', () => {
  it('is checked by entraAuth', () => {
    const clientId = '11111111-1111-4111-8111-111111111111'
    const scopes = entraScopes({ clientId, required: ['notes.read'] })
    const options = { baseUrl: base, tenantId: 'contoso.com', clientId, scopes }
    expect(() => entraAuth({ ...options, branding: { accentColor: '#ffcc00' } })).toThrow(
      /^entraAuth: branding\.accentColor "#ffcc00" has a contrast of 1\.51:1 with white, .* and needs 4\.5:1: #[0-9a-f]{6} would do$/,
    )
  })

  it('is absent from a page that has none', () => {
    const { html: text, contentSecurityPolicy } = pageWith({})
    expect(text).not.toMatch(/<header|<footer|<img/)
    expect(contentSecurityPolicy).not.toContain('img-src')
  })

  it('puts name and logo into the header, and the link to support at the end', () => {
    const { html: text } = withBranding({
      name: 'Contoso & "Söhne"',
      logo: '/logo.svg',
      supportUrl: 'https://help.contoso.com/mcp?a=1&b=2',
    })
    expect(text).toContain(
      '<header><img src="/logo.svg" alt=""><span>Contoso &amp; &quot;Söhne&quot;</span></header>',
    )
    expect(text).toContain(
      '<footer><a href="https://help.contoso.com/mcp?a=1&amp;b=2" rel="noreferrer noopener">Get help</a></footer>',
    )
  })

  it.each([
    ['data:image/png;base64,iVBORw0KGgo=', 'data:'],
    ['data:image/svg+xml,%3Csvg xmlns="x"/>', 'data:'],
    ['/logo.svg', 'https://mcp.contoso.com/logo.svg'],
    ['/static/a-b_c~1/%20logo.svg?v=1.2', 'https://mcp.contoso.com/static/a-b_c~1/%20logo.svg'],
    ['/x/../logo.svg', 'https://mcp.contoso.com/logo.svg'],
  ])('opens the content security policy for the logo %s alone', (logo, source) => {
    const { contentSecurityPolicy } = withBranding({ logo })
    expect(contentSecurityPolicy).toMatch(/^default-src 'none'; style-src 'sha256-[^']+'; /)
    expect(contentSecurityPolicy.split('; ').slice(2)).toEqual([
      `img-src ${source}`,
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ])
  })

  it('escapes a data URI like any other text', () => {
    const { html: text } = withBranding({ logo: 'data:image/svg+xml,<svg onload="x()"/>' })
    expect(text).toContain('src="data:image/svg+xml,&lt;svg onload=&quot;x()&quot;/&gt;"')
  })

  it.each<[string, unknown]>([
    ['another site', 'https://cdn.example/logo.svg'],
    ['another site without a scheme', '//cdn.example/logo.svg'],
    ['another site with a backslash', '/\\cdn.example/logo.svg'],
    ['another site behind dots', '/.//cdn.example/logo.svg'],
    ['another site behind more dots', '/a/..//cdn.example/logo.svg'],
    ['what ends a source of the policy', '/logo.svg;script-src *'],
    ['what ends the policy', "/logo.svg, script-src 'unsafe-inline'"],
    ['a line break', '/logo.svg\r\nx: y'],
    ['a relative path', 'logo.svg'],
    ['a data URI of a page', 'data:text/html,<script>'],
    ['a data URI of another kind of image', 'data:image/xxx,'],
    ['nothing', ''],
    ['a number', 1],
  ])('takes no logo of %s', (_what, logo) => {
    expect(() => withBranding({ logo } as BrandingOptions)).toThrow(
      /^entraAuth: branding\.logo must be a data URI of an image .* or a path on this server/,
    )
  })

  it('takes a data URI of 64 KiB, and no longer one', () => {
    const logo = `data:image/png;base64,${'A'.repeat(65_536 - 22)}`
    expect(withBranding({ logo }).html).toContain(logo)
    expect(() => withBranding({ logo: `${logo}A` })).toThrow(
      'entraAuth: branding.logo has 65537 characters, and may have 65536: serve the image, and give its path',
    )
  })

  it.each<[string, unknown, string]>([
    ['name', '', 'branding.name must be a text'],
    ['name', 'a\u202eb', 'branding.name must be a text'],
    ['name', 'x'.repeat(101), 'branding.name must be a text'],
    ['accentColor', 'red', `branding.accentColor "red" must be a colour such as '#0b5cad'`],
    ['accentColor', 7, "branding.accentColor 7 must be a colour such as '#0b5cad'"],
    ['accentColor', ['#0b5cad'], 'branding.accentColor ["#0b5cad"] must be a colour'],
    ['supportUrl', 'https://:secret@help.contoso.com', 'branding.supportUrl must be'],
    ['supportUrl', 'http://help.contoso.com', 'branding.supportUrl must be'],
    ['supportUrl', 'javascript:alert(1)', 'branding.supportUrl must be'],
    ['supportUrl', 'https://user@help.contoso.com', 'branding.supportUrl must be'],
    ['supportUrl', 'mailto:', 'branding.supportUrl must be'],
    ['supportUrl', '/help', 'branding.supportUrl must be'],
    ['colour', '#0b5cad', 'branding has no member "colour": it has name, logo, accentColor and'],
  ])('takes no %s %j, and says why', (member, value, message) => {
    expect(() => withBranding({ [member]: value })).toThrow(TypeError)
    expect(() => withBranding({ [member]: value })).toThrow(`entraAuth: ${message}`)
  })

  it.each([[null], ['Contoso'], [['Contoso']]])('is an object: not %j', (branding) => {
    expect(() => pageWith({ branding } as never)).toThrow('entraAuth: branding must be an object')
  })

  it('takes an address of mail for support', () => {
    expect(withBranding({ supportUrl: 'mailto:help@contoso.com?subject=MCP' }).html).toContain(
      'href="mailto:help@contoso.com?subject=MCP"',
    )
  })
})

describe('texts', () => {
  const french: PageTexts = { ...english, support: 'Obtenir de l’aide <b>' }
  const branding = { supportUrl: 'https://help.contoso.com' }

  it('add a language, or reword one that is there, and never become HTML', () => {
    const texts = { fr: french, de: { ...german, support: 'Rat und Hilfe' } }
    expect(readPageOptions({ texts }, base).languages).toEqual(['en', 'de', 'fr'])
    expect(pageWith({ texts, branding }, 'fr-CA')).toMatchObject({
      language: 'fr',
      html: expect.stringContaining('Obtenir de l’aide &lt;b&gt;</a>'),
    })
    expect(pageWith({ texts, branding }, 'de').html).toContain('Rat und Hilfe')
    expect(pageWith({ texts, branding }).html).toContain('Get help')
  })

  it('of a language that is written from right to left turn the page around', () => {
    const texts = { 'ar-EG': english, he: english, 'az-Arab': english }
    for (const language of Object.keys(texts)) {
      expect(pageWith({ texts }, language).html).toContain(`<html lang="${language}" dir="rtl">`)
    }
    // Nobody knows how qaa is written: it is for private use.
    const other = { texts: { qaa: english } }
    expect(pageWith(other, 'qaa').html).toContain('<html lang="qaa">')
    expect(pageWith({ texts }, 'de').html).toContain('<html lang="de">')
  })

  it.each<[string, unknown, string]>([
    [
      'that is incomplete',
      { ...english, deny: undefined },
      'texts.fr.deny must be a text, such as "Deny"',
    ],
    ['that lacks some', omit(french, 'deny', 'approve'), 'texts.fr lacks approve, deny'],
    ['with too many', { ...french, title: 'x', x: '' }, 'texts.fr has what no page says: title, x'],
    ['with an empty one', { ...french, approve: ' ' }, 'texts.fr.approve must be a text'],
    [
      'without a slot',
      { ...french, consentQuestion: 'Autoriser {client} ?' },
      'texts.fr.consentQuestion must have {client} and {server}: "Autoriser {client} ?"',
    ],
    [
      'with a slot of its own',
      { ...french, approve: '{client}' },
      'texts.fr.approve must have no slot',
    ],
    ['that is a list', [], 'texts.fr must be an object'],
    ['that is missing', undefined, 'texts.fr must be an object'],
  ])('refuse a table %s', (_what, table, message) => {
    expect(() => pageWith({ texts: { fr: table } } as never)).toThrow(`entraAuth: ${message}`)
  })

  it.each([
    ['french!', 'texts: not the tag of a language, such as \'fr\': "french!"'],
    ['fr_CA', 'texts: not the tag of a language, such as \'fr\': "fr_CA"'],
    ['FR-ca', 'texts: spell "FR-ca" as \'fr-CA\''],
  ])('refuse the tag %s', (tag, message) => {
    expect(() => pageWith({ texts: { [tag]: french } })).toThrow(`entraAuth: ${message}`)
  })
})

function omit(texts: PageTexts, ...keys: (keyof PageTexts)[]): unknown {
  return Object.fromEntries(Object.entries(texts).filter(([key]) => !keys.includes(key as never)))
}
