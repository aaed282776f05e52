import { describe, expect, it } from '@jest/globals'
import { isUserNavigation } from '../../lib/http/fetch-metadata.js'

const navigation = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }
const clicked = { ...navigation, 'sec-fetch-site': 'cross-site', 'sec-fetch-user': '?1' }

describe('a navigation of the user', () => {
  it.each(['none', 'same-origin', 'same-site'])('comes from %s', (site) => {
    expect(isUserNavigation({ ...navigation, 'sec-fetch-site': site })).toBe(true)
    expect(isUserNavigation({ ...clicked, 'sec-fetch-site': site })).toBe(true)
  })

  it('comes from another site when the user started it', () => {
    expect(isUserNavigation(clicked)).toBe(true)
  })
})

describe('everything else is none', () => {
  it('a redirect or a script of another site', () => {
    expect(isUserNavigation({ ...navigation, 'sec-fetch-site': 'cross-site' })).toBe(false)
    for (const user of ['?0', '1', '?1, ?1', '']) {
      expect(isUserNavigation({ ...clicked, 'sec-fetch-user': user })).toBe(false)
    }
  })

  it.each([
    'iframe',
    'frame',
    'embed',
    'object',
    'image',
    'script',
    'empty',
    'document, document',
    '',
  ])('a request for %j', (dest) => {
    expect(isUserNavigation({ ...clicked, 'sec-fetch-dest': dest })).toBe(false)
  })

  it.each(['cors', 'no-cors', 'same-origin', 'websocket', 'navigate, navigate', ''])(
    'the mode %j',
    (mode) => {
      expect(isUserNavigation({ ...clicked, 'sec-fetch-mode': mode })).toBe(false)
    },
  )

  it.each(['cross-origin', 'None', 'none, none', ''])('the site %j', (site) => {
    expect(isUserNavigation({ ...clicked, 'sec-fetch-site': site })).toBe(false)
  })

  it.each(['sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest'])(
    'a request that does not say %s',
    (name) => {
      expect(isUserNavigation({ ...clicked, [name]: undefined })).toBe(false)
    },
  )

  it('a browser that says nothing', () => {
    expect(isUserNavigation({})).toBe(false)
  })

  it('a page that is loaded before anybody wants to see it', () => {
    for (const purpose of ['prefetch', 'prefetch;prerender', '']) {
      expect(isUserNavigation({ ...clicked, 'sec-purpose': purpose })).toBe(false)
      expect(isUserNavigation({ ...clicked, purpose })).toBe(false)
    }
  })
})
