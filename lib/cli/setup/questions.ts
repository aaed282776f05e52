/** Asks for what was not given. Questions go to standard error, so that the answer can be kept in a file. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import type { Io } from '../io.js'
import type { Answers } from './plan.js'

interface Question {
  readonly option: keyof Answers
  readonly text: string
  readonly otherwise?: string
  /** Several, with a comma between them. */
  readonly many?: true
  readonly when?: (answers: Answers) => boolean
}

const isKind = (kind: string) => (answers: Answers) => answers.credential === kind

const questions: readonly Question[] = [
  { option: 'name', text: 'Name of the app, as users see it', otherwise: 'MCP server' },
  {
    option: 'baseUrl',
    text: 'URL at which clients reach the server',
    otherwise: 'http://localhost:3000',
  },
  {
    option: 'scope',
    text: 'Scopes, as name=consent text, with commas',
    otherwise: 'notes.read=Read your notes',
    many: true,
  },
  {
    option: 'permission',
    text: 'Delegated permissions downstream, such as User.Read, with commas',
    many: true,
  },
  { option: 'appRole', text: 'App roles, as value=text, with commas', many: true },
  {
    option: 'agent',
    text: 'Agents that get these roles: client ids, with commas',
    many: true,
    when: ({ appRole = [] }) => appRole.length > 0,
  },
  {
    option: 'credential',
    text: 'Credential: secret, certificate, managed-identity, workload-identity',
    otherwise: 'secret',
  },
  { option: 'certificate', text: 'Path of the certificate (PEM)', when: isKind('certificate') },
  {
    option: 'identityPrincipalId',
    text: 'Object (principal) id of the managed identity',
    when: isKind('managed-identity'),
  },
  { option: 'federatedIssuer', text: 'Issuer of the tokens', when: isKind('workload-identity') },
  { option: 'federatedSubject', text: 'Subject of the tokens', when: isKind('workload-identity') },
  {
    option: 'tenancy',
    text: 'Whose users sign in: single (this tenant), multiple',
    otherwise: 'single',
  },
  { option: 'mode', text: 'Mode: proxy (most clients need it), direct', otherwise: 'proxy' },
  {
    option: 'client',
    text: 'Clients to pre-authorize: vscode, azure-cli, m365-copilot, client ids, with commas',
    many: true,
  },
]

/**
 * @param given what need not be asked for
 * @returns all answers; empty when input ended
 */
export async function ask(given: Answers, io: Io): Promise<Answers> {
  const output = new Writable({
    write(chunk, _encoding, done) {
      io.err(String(chunk))
      done()
    },
  })
  const terminal = createInterface({ input: io.stdin, output, terminal: false })
  const lines = terminal[Symbol.asyncIterator]()
  let answers: Answers = given
  try {
    for (const { option, text, otherwise, many, when } of questions) {
      if (answers[option] !== undefined || when?.(answers) === false) continue
      io.err(`${text}${otherwise === undefined ? '' : ` [${otherwise}]`}: `)
      const { value } = await lines.next()
      const reply = String(value ?? '').trim() || otherwise || ''
      if (reply === '') continue
      answers = { ...answers, [option]: many ? reply.split(/\s*,\s*/) : reply }
    }
    return answers
  } finally {
    terminal.close()
  }
}
