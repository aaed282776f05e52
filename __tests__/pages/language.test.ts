/** Which language a reader gets. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { chooseLanguage } from '../../lib/pages/language.js'

const available = ['en', 'de', 'pt-BR', 'zh-Hant']

describe('Accept-Language (RFC 9110 section 12.5.4)', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['de', 'de'],
    ['de-AT', 'de'],
    ['DE-at', 'de'],
    ['de-AT,de;q=0.9,en-US;q=0.8,en;q=0.7', 'de'],
    ['fr, de;q=0.5', 'de'],
    ['en;q=0.5, de;q=0.8', 'de'],
    ['en;q=0.8, de;q=0.8', 'en'],
    ['en;q=0.001, de;q=0', 'en'],
    ['de;q=0', undefined],
    ['de;q=0.000', undefined],
    ['de ; Q=0.3 , en ; q=0.2', 'de'],
    ['de;level=1;q=0.3, en;q=0.2', 'de'],
    ['pt-BR', 'pt-BR'],
    ['pt-br-x-private', 'pt-BR'],
    ['pt', undefined],
    ['zh-Hant-TW', 'zh-Hant'],
    ['zh-TW', undefined],
    ['fr', undefined],
    ['*', undefined],
    ['*, de;q=0.1', 'de'],
    ['d', undefined],
    ['den', undefined],
  ])('%j: %s', (acceptLanguage, chosen) => {
    expect(chooseLanguage(available, { acceptLanguage })).toBe(chosen)
  })

  it.each([
    ['a weight that is none', 'de;q=2'],
    ['a weight below zero', 'de;q=-1'],
    ['a weight of words', 'de;q=high'],
    ['a weight without a value', 'de;q='],
    ['a weight of four digits', 'de;q=0.1234'],
    ['separators only', ',;,;-;=,'],
    ['hyphens only', '-----'],
    ['names of the prototype', '__proto__, constructor, toString'],
    ['more than anybody speaks', `de,${'fr,'.repeat(200)}`],
  ])('passes over %s', (_what, acceptLanguage) => {
    expect(chooseLanguage(available, { acceptLanguage })).toBeUndefined()
  })
})

describe('ui_locales (OpenID Connect Core 1.0 section 3.1.2.1)', () => {
  it.each([
    ['de', 'de'],
    ['fr-CA fr de en', 'de'],
    ['en de', 'en'],
    ['de-CH-1996', 'de'],
    ['  de', 'de'],
  ])('%j comes before what the browser says', (uiLocales, chosen) => {
    expect(chooseLanguage(available, { uiLocales, acceptLanguage: 'pt-BR' })).toBe(chosen)
  })

  it.each(['', 'fr', 'fr,de', '<de>', '\u0000', `de ${'x'.repeat(500)}`])(
    '%j is passed over, and the browser decides',
    (uiLocales) => {
      expect(chooseLanguage(available, { uiLocales, acceptLanguage: 'pt-BR' })).toBe('pt-BR')
    },
  )
})

describe('anything at all', () => {
  it('neither throws nor leads to a language that there is not', () => {
    const junk = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.stringMatching(/^([a-zA-Z*]{0,8}[-;,= q0-9.]{0,4}){0,12}$/),
    )
    fc.assert(
      fc.property(junk, junk, (uiLocales, acceptLanguage) => {
        const chosen = chooseLanguage(available, { uiLocales, acceptLanguage })
        expect([undefined, ...available]).toContain(chosen)
      }),
    )
  })
})
