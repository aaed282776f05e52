/**
 * The user, in place of a browser with somebody in front of it: whatever address a client opens is visited, the consent
 * approved, Ada signed in, and the way followed back to the client.
 *
 * Clients open addresses with `xdg-open`, by that name or by way of `open`'s copy of it, which runs `$BROWSER`. Both are a
 * script here that writes the address into a file.
 */
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Browser } from '../../build/examples/demo/browser.js'

const script = (file) => `#!/bin/sh\nprintf '%s\\n' "$1" >> '${file}'\n`

/** @returns a user with a browser in this folder: `browser` and `bin` lead clients to it, `visits` are its pages so far */
export async function startUser(folder) {
  const file = join(folder, 'addresses')
  const bin = join(folder, 'bin')
  await mkdir(bin, { recursive: true })
  await writeFile(file, '')
  for (const name of ['xdg-open', 'open', 'browser']) {
    await writeFile(join(bin, name), script(file))
    await chmod(join(bin, name), 0o755)
  }
  const visits = []
  let read = 0
  let going = Promise.resolve()
  const timer = setInterval(() => {
    going = going.then(look)
  }, 100)

  async function look() {
    const addresses = (await readFile(file, 'utf8')).split('\n').filter(Boolean)
    for (const address of addresses.slice(read)) {
      read++
      visits.push(await visit(address).catch((error) => ({ address, outcome: String(error) })))
    }
  }

  return {
    browser: join(bin, 'browser'),
    bin,
    visits,
    stop: () => clearInterval(timer),
  }
}

/** What became of an address. */
async function visit(address) {
  const browser = new Browser({ stopAt: () => false })
  const target = new URL(address)
  target.searchParams.set('login_hint', 'ada@contoso.example')
  const consent = await browser.open(target.href)
  if (!consent.html.includes('value="approve"')) {
    return { address, outcome: `${consent.status}: ${textOf(consent.html)}` }
  }
  const end = await browser.press(consent, 'approve')
  const asked = target.searchParams.get('scope')
  return { address, asked, outcome: `${end.status}: ${textOf(end.html)}` }
}

function textOf(html) {
  const text = html.replace(/<(style|script|title)[\s\S]*?<\/\1>/g, ' ').replace(/<[^>]*>/g, ' ')
  return text.replace(/\s+/g, ' ').trim().slice(0, 200)
}
