/** One user's session with a client, whatever kind it is: `attempt` has it call a tool once. */
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { runCommand, startLines } from './processes.mjs'

const apps = fileURLToPath(new URL('apps', import.meta.url))

/**
 * @param context `url`, `folder` (where the client is installed), `cwd` and `env`
 * @returns `attempt(tool, args, loggingIn)`, which says what was typed and what was said, and `end`
 */
export function startSession(client, context) {
  if (client.app) return appSession(client, context)
  if (client.stdio) return stdioSession(client, context)
  return commandSession(client, context)
}

async function appSession({ app, name }, { folder, url, env }) {
  await cp(apps, folder, { recursive: true })
  const settings = { ...env, MCP_URL: url, APP_NAME: name }
  const lines = startLines(['node', app], { cwd: folder, env: settings })
  let id = 0
  return {
    setUp: [],
    async attempt(tool, args) {
      const answer = await lines.ask({ id: ++id, tool, args })
      return { typed: undefined, said: said(answer?.error ?? answer?.text ?? lines.said()) }
    },
    end: () => lines.stop(),
  }
}

async function stdioSession(client, context) {
  const argv = client.stdio(context)
  const lines = startLines(program(argv, context), context)
  let id = 0
  const ask = (method, params) => lines.ask({ jsonrpc: '2.0', id: ++id, method, params })
  let ready
  const initialize = async () => {
    const clientInfo = { name: 'host', version: '1' }
    const capabilities = {}
    await ask('initialize', { protocolVersion: '2025-06-18', capabilities, clientInfo })
    lines.send({ jsonrpc: '2.0', method: 'notifications/initialized' })
  }
  return {
    setUp: [typed(argv)],
    async attempt(name, args) {
      ready ??= initialize()
      await ready
      const answer = await ask('tools/call', { name, arguments: args })
      const { error, result } = answer ?? {}
      return {
        typed: undefined,
        said: said(error?.message ?? result?.content?.[0]?.text ?? 'no answer'),
      }
    },
    end: () => lines.stop(),
  }
}

async function commandSession(client, context) {
  const setUp = client.setUp?.(context) ?? []
  for (const argv of setUp) await runCommand(program(argv, context), context)
  return {
    setUp: setUp.map(typed),
    async attempt(tool, args, loggingIn) {
      const logins = loggingIn ? (client.login?.(context) ?? []) : []
      const commands = [...logins, client.call(tool, args, context)]
      let output = ''
      for (const argv of commands)
        output += (await runCommand(program(argv, context), context)).said
      return { typed: commands.map(typed).join(' && '), said: said(output) }
    },
    end: async () => {},
  }
}

const program = ([command, ...args], { folder }) => [
  join(folder, 'node_modules/.bin', command),
  ...args,
]

const typed = (argv) =>
  ['npx', ...argv].map((word) => (/[\s"']/.test(word) ? `'${word}'` : word)).join(' ')

/** What a user reads of it: without colours, the last lines. */
function said(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours are control characters
  const plain = String(text).replace(/\u001b\[[0-9;?]*[A-Za-z]/g, '')
  return plain
    .split('\n')
    .map((line) => line.trimEnd())
    .filter(Boolean)
    .slice(-12)
    .join('\n')
}
