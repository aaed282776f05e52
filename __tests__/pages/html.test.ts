/** HTML that cannot be made without escaping. */
import { describe, expect, it } from '@jest/globals'
import { html } from '../../lib/pages/html.js'
import { visibleText } from '../../lib/pages/visible-text.js'

describe('html', () => {
  it('escapes what it is given, for content and for quoted attributes', () => {
    const text = `<b onclick="x('y')">&amp;`
    const escaped = '&lt;b onclick=&quot;x(&#39;y&#39;)&quot;&gt;&amp;amp;'
    expect(String(html`<p title="${text}">${text}</p>`)).toBe(
      `<p title="${escaped}">${escaped}</p>`,
    )
  })

  it('takes HTML of its own as it is, lists of anything, and nothing', () => {
    const item = html`<i>${'&'}</i>`
    expect(String(html`<p>${item}${undefined}${['<', item, [item]]}</p>`)).toBe(
      '<p><i>&amp;</i>&lt;<i>&amp;</i><i>&amp;</i></p>',
    )
  })

  it('is not fooled by an object that looks like HTML', () => {
    const forged = JSON.parse('{"source":"<script>"}') as string
    expect(() => html`${forged}`).toThrow(TypeError)
  })
})

describe('visibleText', () => {
  it.each([
    ['a\u202eb', 'a□b'],
    ['\u3164\u115f\u1160\uffa0', '□□□□'],
    ['\u034f\u2800\ufe0f', '□□□'],
    ['Notes \u2764\ufe0f', 'Notes \u2764\ufe0f'],
    ['\u2764\ufe0f\ufe0f', '\u2764\ufe0f□'],
    ['a\u200b\u2066\u061cb', 'a□□□b'],
    ['a\n\u2028\u0085b', 'a□□□b'],
    ['a\ue000b', 'a□b'],
    ['  Zoë 名前 👩 ', 'Zoë 名前 👩'],
    ['', ''],
  ])('%j is shown as %j', (given, shown) => {
    expect(visibleText(given)).toBe(shown)
  })
})
