/** A browser that goes from `/authorize` over the consent page and Entra back to the client. */
import { cookieJar, hiddenFields } from '../consent-page.js'
import { form } from '../http-client.js'

/** How many answers one sign-in takes at most. */
const mostSteps = 12

/** @returns the code; undefined when the sign-in has to begin anew, or the soak is over */
export async function signIn({ network, send, tally, redirectUri, request }) {
  const cookies = cookieJar()
  const page = await send(`/authorize?${new URLSearchParams(request)}`, {})
  if (!page) return undefined
  if (page.status !== 200) return void tally.wrong(`/authorize: ${page.status}`)
  cookies.keep(page)
  const fields = { ...hiddenFields(page.body), action: 'approve' }
  let answer = await send('/consent', form(fields, cookies.header()))
  for (let step = 0; answer && step < mostSteps; step++) {
    cookies.keep(answer)
    const { location } = answer.headers
    if (location === undefined) return void tally.wrong(`sign-in: ${answer.status} ${answer.body}`)
    if (location.startsWith(redirectUri)) return readAnswer(new URL(location), request, tally)
    // Our own pages may answer 503; the emulator is not judged.
    const isOurs = location.includes('/auth/callback')
    answer = isOurs
      ? await send(location, { headers: cookies.header() })
      : await network.send(location, {}).catch(() => undefined)
  }
  return undefined
}

/** `temporarily_unavailable` is the 503 of a redirect: Entra did not answer. */
function readAnswer({ searchParams }, { state }, tally) {
  if (searchParams.get('state') !== state) return void tally.wrong('sign-in: another state')
  const error = searchParams.get('error')
  if (error === 'temporarily_unavailable') return void tally.count('sign-ins to do again')
  if (error !== null) return void tally.wrong(`sign-in: ${searchParams}`)
  return searchParams.get('code')
}
