import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  codeChallenge,
  isCodeChallenge,
  isCodeVerifier,
  verifierMatches,
} from '../../lib/oauth/pkce.js'

const verifier = 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk'
const challenge = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM'
const unreserved = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~'
const verifiers = fc.string({
  unit: fc.constantFrom(...unreserved),
  minLength: 43,
  maxLength: 128,
})

describe('PKCE', () => {
  it('reproduces the example of RFC 7636 appendix B', () => {
    expect(codeChallenge(verifier)).toBe(challenge)
    expect(verifierMatches(verifier, challenge)).toBe(true)
  })

  it('matches every verifier with its own challenge and with no other', () => {
    fc.assert(
      fc.property(verifiers, verifiers, (one, other) => {
        expect(isCodeVerifier(one)).toBe(true)
        expect(isCodeChallenge(codeChallenge(one))).toBe(true)
        expect(verifierMatches(one, codeChallenge(one))).toBe(true)
        expect(verifierMatches(one, codeChallenge(other))).toBe(one === other)
      }),
    )
  })

  it('does not take the challenge for its own verifier (the plain method)', () => {
    expect(verifierMatches(challenge, challenge)).toBe(false)
    expect(verifierMatches(verifier, verifier)).toBe(false)
  })

  it('insists on a verifier of 43 to 128 characters, even if its hash fits', () => {
    const [short, shortest] = ['a'.repeat(42), 'a'.repeat(43)]
    const [longest, long] = ['a'.repeat(128), 'a'.repeat(129)]
    expect([short, shortest, longest, long].map(isCodeVerifier)).toEqual([false, true, true, false])
    expect(verifierMatches(short, codeChallenge(short))).toBe(false)
    expect(verifierMatches(long, codeChallenge(long))).toBe(false)
  })

  it.each([' ', '+', '/', '=', '%', 'é', '\n', '\0'])('refuses %j in a verifier', (character) => {
    expect(isCodeVerifier(`${verifier}${character}`)).toBe(false)
  })

  it.each([
    ['nothing', ''],
    ['42 characters', challenge.slice(1)],
    ['44 characters', `${challenge}a`],
    ['padding', `${challenge.slice(1)}=`],
    ['plain base64', challenge.replace('-', '+')],
    ['a line feed', `${challenge}\n`],
  ])('refuses a challenge with %s', (_, text) => {
    expect(isCodeChallenge(text)).toBe(false)
  })
})
