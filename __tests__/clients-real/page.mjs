/** docs/clients.md, from what happened. */
import { readFileSync } from 'node:fs'

const byHand = readFileSync(new URL('by-hand.md', import.meta.url), 'utf8')

const columns = {
  'sign-in': 'signs in, calls a tool',
  refresh: 'its token expires',
  'step-up': 'a tool needs one more scope',
  revoked: 'its login is revoked',
  'keys lost': 'its id is dead',
}

const questions = {
  'step-up': 'A tool needs one more scope',
  revoked: 'The login is revoked',
  'keys lost': 'The server has lost its keys: the client id is dead',
}

/** Lines that are about the machine and not about us. */
const noise = /keychain|secret|zbus|Session log for debugging|^\[\d+\]/i

/** @returns the whole document */
export function page(report, date) {
  const names = Object.keys(columns)
  const head = ['client', 'registers', ...names.map((name) => columns[name])]
  const rows = report.map((client) => [
    `${client.name} ${client.version}`,
    registration(client),
    ...names.map((name) => cell(client.phases.find((phase) => phase.name === name))),
  ])
  return `${[
    '# Clients',
    [
      'Published MCP clients against the reference host and an emulated Entra. Written by `npm run clients`, which installs',
      `them from npm and drives them, on ${date.toISOString().slice(0, 10)}; do not edit. ✔ works, ✘ does not. A "browser visit" is consent,`,
      'sign-in and the way back. Libraries run in a small program that keeps tokens in memory and opens the browser. Whether a',
      'call worked was read from what reached the server.',
    ].join('\n'),
    [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n'),
    '## What users see and type',
    ...sections(report),
    byHand.trim(),
  ].join('\n\n')}\n`
}

const row = (cells) => `| ${cells.join(' | ')} |`

function registration({ registrations }) {
  const [first] = registrations ?? []
  if (!first) return '–'
  const { redirect_uris: uris = [] } = first.request
  const hosts = uris.map((uri) => new URL(uri).hostname)
  return `by registration, ${[...new Set(hosts)].map((host) => `\`${host}\``).join(' and ')}`
}

function cell(phase) {
  if (!phase) return '–'
  const { ok, tries, visits } = phase
  if (!ok) return '✘'
  const last = tries.at(-1)
  const effort = [
    ...(visits.length > 0 ? [`${visits.length} browser visit${visits.length > 1 ? 's' : ''}`] : []),
    ...(last.loggingIn ? ['after a login by hand'] : tries.length > 1 ? ['at the second try'] : []),
  ]
  return ['✔', effort.join(', ')].join(' ').trim()
}

/** Clients of which the same is to be told are told of together. */
function sections(report) {
  const byStory = new Map()
  for (const client of report) {
    const text = answers(client)
    byStory.set(text, [...(byStory.get(text) ?? []), client])
  }
  return [...byStory].map(([text, clients]) => {
    const commands = clients.flatMap(({ name, setUp = [] }) =>
      setUp.length > 0 ? [`${name} is set up with ${setUp.map(code).join(' and ')}.`] : [],
    )
    const heading = `### ${clients.map(({ name }) => name).join(', ')}`
    return [heading, ...commands, text].join('\n\n')
  })
}

function answers({ phases, error }) {
  if (error) return `Could not be driven: ${plain(error)}`
  return Object.entries(questions)
    .map(([name, question]) => {
      const phase = phases.find((one) => one.name === name)
      const offered = phases.find((one) => one.name === 'offered')
      return `- **${question}.** ${phase ? story(phase, offered) : 'Not reached.'}`
    })
    .join('\n')
}

/** What happened, in the order in which it did. */
function story({ ok, tries, visits }, offered) {
  const [first, second] = tries.filter((one) => !one.ok)
  const last = tries.at(-1)
  const asked = [...new Set(visits.map((visit) => visit.asked).filter(Boolean))]
  const parts = []
  if (first)
    parts.push(`${first.typed ? code(first.typed) : 'The call'} fails: "${short(first.said)}".`)
  if (second && short(second.said) !== short(first.said)) {
    parts.push(`Once more: "${short(second.said)}".`)
  }
  if (ok && last.loggingIn && last.typed) parts.push(`What helps: ${code(last.typed)}.`)
  if (asked.length > 0) parts.push(`The browser opens, for ${asked.map(code).join(', then ')}.`)
  if (visits.some(({ outcome }) => /fetch failed/.test(outcome))) {
    parts.push('The way back from it may lead nowhere, because the client has ended by then.')
  }
  if (ok) parts.push(first ? 'Then the call goes through.' : 'Nothing is to be typed.')
  else {
    const loggedIn = tries.some((one) => one.loggingIn && one.typed !== first.typed)
    parts.push(
      loggedIn ? 'Neither trying again nor logging in helps.' : 'Trying again does not help.',
    )
    parts.push(remedy(offered))
  }
  return parts.join(' ')
}

function remedy(offered) {
  if (!offered?.ok) return 'Nor does `offered`.'
  return 'With `offered` it has the scope from its first login on, and the call goes through.'
}

const code = (text) => `\`${plain(text)}\``

/** Without addresses and folders of the day. */
function plain(text) {
  return text
    .replace(/http:\/\/localhost:\d+\/authorize\?\S*/g, 'http://localhost:3000/authorize?…')
    .replace(/http:\/\/localhost:\d+/g, 'http://localhost:3000')
    .replace(/\/tmp\/mcp-entra-client-\w+/g, '~')
}

/** The lines that matter, as one. */
function short(said = '') {
  const lines = plain(said)
    .replace(/\[@notes [^\]]*\]|\.* For details, check logs at \S+/g, '')
    .split('\n')
    .filter((line) => !noise.test(line))
  const telling = lines.filter((line) =>
    /error|scope|login|log in|auth|denied|forbidden/i.test(line),
  )
  const text = (telling.length > 0 ? telling : lines).slice(-2).join(' ')
  return text.replace(/\s+/g, ' ').replace(/\|/g, '\\|').replace(/"/g, '').trim().slice(0, 300)
}
