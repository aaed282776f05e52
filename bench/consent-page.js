/** What a browser knows of a sign-in: its cookies, and the hidden fields of the consent page. */

/** The cookies of one browser. */
export function cookieJar() {
  const cookies = new Map()
  return {
    header: () => ({
      cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; '),
    }),
    keep({ headers }) {
      for (const cookie of headers['set-cookie'] ?? []) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(cookie)
        if (value === '') cookies.delete(name)
        else cookies.set(name, value)
      }
    },
  }
}

/** Name and value of each hidden field. */
export function hiddenFields(page) {
  const fields = page.matchAll(/type="hidden" name="([^"]*)" value="([^"]*)"/g)
  return Object.fromEntries([...fields].map(([, name, value]) => [name, value]))
}
