/** What pages say, in every language. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { english } from '../../lib/pages/english.js'
import { german } from '../../lib/pages/german.js'
import { html } from '../../lib/pages/html.js'
import { type PageTexts, slotsOf, speaker, type TextKey } from '../../lib/pages/texts.js'

const keys = Object.keys(english) as TextKey[]

describe('the English texts', () => {
  it('are all said on some page', () => {
    const lib = fileURLToPath(new URL('../../lib/', import.meta.url))
    const sources = readdirSync(lib, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts') && !/pages.(?:english|german)\.ts$/.test(path))
      .map((path) => ({ path, text: readFileSync(lib + path, 'utf8') }))
    const isSaid = (key: string) =>
      sources.some(
        ({ path, text }) =>
          (path.startsWith('pages') && text.includes(`'${key}'`)) ||
          text.includes(`situation: '${key}'`),
      )
    expect(keys.filter((key) => !isSaid(key))).toEqual([])
    expect(isSaid('noSuchText')).toBe(false)
  })
})

describe('the German texts', () => {
  it('are the same texts as the English ones, in the same order', () => {
    expect(Object.keys(german)).toEqual(keys)
  })

  it.each(keys)('%s is a text with the same slots', (key) => {
    expect(german[key].trim()).toBe(german[key])
    expect(german[key]).not.toBe('')
    expect([...slotsOf(german[key])].sort()).toEqual([...slotsOf(english[key])].sort())
  })

  it('name Microsoft and the buttons where the English ones do', () => {
    const naming = (texts: PageTexts) => keys.filter((key) => texts[key].includes('Microsoft'))
    expect(naming(german)).toEqual(naming(english))
  })
})

describe('a text', () => {
  const say = speaker({ ...english, consentQuestion: '<b>{server}</b> & {client}: {server}?' })

  it('is escaped, and so is what fills its slots, wherever they stand', () => {
    expect(String(say('consentQuestion', { client: '<i>"', server: html`<em>Notes</em>` }))).toBe(
      '&lt;b&gt;<em>Notes</em>&lt;/b&gt; &amp; &lt;i&gt;&quot;: <em>Notes</em>?',
    )
  })

  it('fills no slot that a filling brings along', () => {
    expect(String(say('consentQuestion', { client: '{server}', server: 'S' }))).toBe(
      '&lt;b&gt;S&lt;/b&gt; &amp; {server}: S?',
    )
  })
})

describe('the name of a button for screen readers (WCAG 2.2, 2.5.3)', () => {
  it.each([english, german])('begins with what the button shows', (texts: PageTexts) => {
    expect(texts.revokeOf.startsWith(texts.revoke)).toBe(true)
  })
})
