/** `askUser` outside of what it is for: it never swallows an error, and never asks without being able to. */
import { describe, expect, it } from '@jest/globals'
import { UrlElicitationRequiredError } from '@modelcontextprotocol/sdk/types.js'
import { askUser } from '../lib/ask-user.js'
import { withInternals } from '../lib/gate/caller.js'
import { ChallengeError } from '../lib/gate/downstream-exchange.js'
import type { Question } from '../lib/gate/session-question.js'

const challenge = new ChallengeError(
  'insufficient_claims',
  'More.',
  { claims: '{}' },
  'https://graph.example/Mail.Read',
)
const question = (form: Question['form']): Question => ({
  form,
  id: 'i',
  url: 'https://mcp.example/auth/interaction?id=i',
  message: 'Open it.',
  ...(form === 'result' && { requestState: "the tool's" }),
})

/** `req.auth` behind an `oboToken` that can ask like this, or not. */
function authOf(form?: Question['form']) {
  const internals = form === undefined ? {} : { ask: async () => question(form) }
  return { extra: withInternals({}, () => internals as never) }
}

describe('askUser', () => {
  const caught = (error: unknown, form?: Question['form']) =>
    askUser(error, { requestId: 1, authInfo: authOf(form) }, UrlElicitationRequiredError).catch(
      (thrown: unknown) => thrown,
    )

  it.each([
    ['of the tool', new Error('Graph answered 500')],
    ['that is none', 'text'],
    ['with a cause that is its own', Object.assign(new Error('loop'), { cause: undefined })],
  ])('throws an error %s again', async (_what, error) => {
    expect(await caught(error, 'error')).toBe(error)
  })

  it('throws the challenge again for a client that cannot show a URL', async () => {
    expect(await caught(challenge)).toBe(challenge)
  })

  it.each([
    ['as it is', challenge],
    [
      'that a library has wrapped',
      new Error('no token', { cause: new Error('auth', { cause: challenge }) }),
    ],
  ])("throws the SDK's own error for a challenge %s", async (_what, error) => {
    const thrown = await caught(error, 'error')
    expect(thrown).toBeInstanceOf(UrlElicitationRequiredError)
    expect((thrown as UrlElicitationRequiredError).elicitations).toEqual([
      { mode: 'url', message: 'Open it.', elicitationId: 'i', url: question('error').url },
    ])
  })

  it('returns a result that wants input to a client of 2026-07-28', async () => {
    const ctx = { mcpReq: {}, http: { authInfo: authOf('result') } }
    expect(await askUser(challenge, ctx, UrlElicitationRequiredError)).toEqual({
      resultType: 'input_required',
      inputRequests: {
        'signIn.i': {
          method: 'elicitation/create',
          params: { mode: 'url', message: 'Open it.', url: question('result').url },
        },
      },
      requestState: "the tool's",
    })
  })

  it('says what is missing where no requireBearer was', async () => {
    const asked = askUser(challenge, { requestId: 1 }, UrlElicitationRequiredError)
    await expect(asked).rejects.toThrow(/^askUser: no auth of requireBearer here/)
  })
})
