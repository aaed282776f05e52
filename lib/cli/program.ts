/** The commands, their options and help. Each command is loaded only when it is asked for. */
import { Command, CommanderError, Option } from 'commander'
import { exitCodes } from './exit-codes.js'
import type { Io } from './io.js'
import { UsageError } from './usage-error.js'

const list = (value: string, before: readonly string[] = []) => [...before, value]

/**
 * Runs the program.
 *
 * @param args without node and the program's own name
 * @returns the exit code: 0, 1 for failures, 2 when it could not make sense of what was typed
 */
export async function run(args: readonly string[], io: Io): Promise<number> {
  let code: number = exitCodes.ok
  const set = (result: number) => {
    code = result
  }
  const program = new Command('mcp-entra')
    .description('Sets up, checks and explains an MCP server behind Microsoft Entra ID.')
    .configureOutput({ writeOut: io.out, writeErr: io.err })
    .exitOverride()
    .showHelpAfterError('(add --help for the options)')
    .addHelpText('after', '\nExit codes: 0 done, 1 failures, 2 not understood.\n')
  program.addCommand(setupCommand(io, set))
  program.addCommand(doctorCommand(io, set))
  program.addCommand(explainCommand(io, set))
  program.addCommand(tryCommand(io, set))
  for (const command of program.commands) command.copyInheritedSettings(program)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    return codeOf(error, io)
  }
}

function codeOf(error: unknown, io: Io): number {
  // Commander has printed its message, or the help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  const { message } = error as Error
  io.err(`mcp-entra: ${message}\n`)
  return error instanceof UsageError ? exitCodes.usage : exitCodes.failure
}

type Done = (code: number) => void

function setupCommand(io: Io, done: Done): Command {
  return new Command('setup')
    .description(
      'Prints what registers the app in Microsoft Entra ID. Nothing is executed, and nothing is sent.',
    )
    .addOption(
      new Option('--format <format>', 'what to print')
        .choices(['azure-cli', 'bicep', 'terraform', 'graph', 'env'])
        .default('azure-cli'),
    )
    .option('--name <name>', 'name of the app, as users see it when they sign in')
    .option('--base-url <url>', 'where clients reach the server: https://mcp.contoso.com')
    .option('--resource <path>', 'path of the MCP endpoint', '/mcp')
    .option('--callback-path <path>', 'path of the redirect URI', '/auth/callback')
    .option('--scope <name[=text]>', 'a scope to expose, with its consent text (repeatable)', list)
    .option(
      '--permission <name>',
      'a delegated permission: User.Read (Graph), or <API client id>/<scope> (repeatable)',
      list,
    )
    .option('--app-role <value[=text]>', 'an app role for users and apps (repeatable)', list)
    .addOption(
      new Option('--credential <kind>', 'how the server proves that it is the app')
        .choices(['secret', 'certificate', 'managed-identity', 'workload-identity'])
        .default('secret'),
    )
    .option('--certificate <path>', 'PEM file with the certificate (its key is not read)')
    .option('--identity-principal-id <guid>', 'object (principal) id of the managed identity')
    .option('--identity-client-id <guid>', 'client id of the managed identity')
    .option('--federated-issuer <url>', 'workload identity: issuer of the tokens')
    .option('--federated-subject <subject>', 'workload identity: subject of the tokens')
    .addOption(
      new Option('--tenancy <tenancy>', 'whose users sign in')
        .choices(['single', 'multiple'])
        .default('single'),
    )
    .option('--tenant <guid>', 'Directory (tenant) ID, where the format does not find it itself')
    .addOption(
      new Option('--cloud <cloud>', 'the national cloud')
        .choices(['public', 'usgov', 'china'])
        .default('public'),
    )
    .addOption(
      new Option('--mode <mode>', 'proxy: oauthRoutes; direct: clients go to Entra themselves')
        .choices(['proxy', 'direct'])
        .default('proxy'),
    )
    .option(
      '--client <client>',
      'a client to pre-authorize: vscode, azure-cli, m365-copilot, or a client id (repeatable)',
      list,
    )
    .option(
      '--agent <guid>',
      'client id of an agent identity (or another app) that gets the app roles (repeatable)',
      list,
    )
    .option('--agent-blueprint', 'the app is a blueprint, with an agent identity (--format graph)')
    .option('--ask', 'ask for what is not given, even when input is not a terminal')
    .option('--json', 'one JSON object with the files and the notes')
    .addHelpText(
      'after',
      '\nWithout --name and --base-url it asks, when it runs in a terminal.\n\nExamples:\n' +
        '  mcp-entra setup --name Notes --base-url https://mcp.contoso.com --scope "notes.read=Read your notes" > register.sh\n' +
        '  bash register.sh > .env\n',
    )
    .action(async (options) => {
      const { setup } = await import('./setup/setup.js')
      done(await setup(options, io))
    })
}

function doctorCommand(io: Io, done: Done): Command {
  return new Command('doctor')
    .description(
      "Says what is wrong: with the settings in the environment, or with a running server's URL.",
    )
    .argument('[url]', 'the MCP endpoint, as clients write it: https://mcp.contoso.com/mcp')
    .option('--scope <name>', 'a scope that the app must expose (repeatable)', list)
    .addOption(
      new Option('--mode <mode>', 'of the server whose settings these are')
        .choices(['proxy', 'direct'])
        .default('proxy'),
    )
    .option('--resource <path>', 'path of the MCP endpoint', '/mcp')
    .option('--json', 'one JSON object with every check')
    .addHelpText(
      'after',
      '\nWithout a URL it reads BASE_URL, AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET,\n' +
        'AZURE_CLIENT_CERTIFICATE_PATH, AZURE_FEDERATED_TOKEN_FILE, AZURE_AUTHORITY_HOST, MCP_ENTRA_KEYS,\n' +
        'MCP_ENTRA_IDENTITY_ASSERTIONS, REDIS_URL, and AGENT_ID with --mode direct. From a file, with node --env-file=.env\n' +
        'in front: node --env-file=.env node_modules/mcp-entra/dist/cli/main.js doctor\n' +
        'It talks to nothing but the URL, the authority, the identity providers and\n' +
        'the store. Exit code 1 when a check failed.\n',
    )
    .action(async (url, options) => {
      const { doctor } = await import('./doctor/doctor.js')
      done(await doctor(url, options, io))
    })
}

function explainCommand(io: Io, done: Done): Command {
  return new Command('explain')
    .description('Explains a token, an AADSTS code, a WWW-Authenticate header or an error URL.')
    .argument('<what>', 'what to explain; - reads it from standard input')
    .option('--tenant <tenant>', 'your tenant (default: AZURE_TENANT_ID)')
    .option('--client-id <guid>', 'your app (default: AZURE_CLIENT_ID)')
    .option('--base-url <url>', 'your server (default: BASE_URL)')
    .option('--resource <path>', 'path of your MCP endpoint', '/mcp')
    .option('--json', 'one JSON object')
    .addHelpText(
      'after',
      '\nEverything is decoded on this machine, and a token is never printed. Read tokens from standard input:\n' +
        "an argument stays in the shell's history.\n\n  pbpaste | mcp-entra explain -\n",
    )
    .action(async (what, options) => {
      const { explain } = await import('./explain/explain.js')
      done(await explain(what, options, io))
    })
}

function tryCommand(io: Io, done: Done): Command {
  return new Command('try')
    .description(
      'Starts an emulated Entra and Graph, and a notes server behind it, on this machine only.',
    )
    .option('--port <port>', 'of the notes server; the emulated Entra takes the next one', '3300')
    .option('--json', 'one JSON object with the URLs, instead of the text')
    .addHelpText('after', '\nNothing is registered and nothing is kept. Ctrl-C ends it.\n')
    .action(async (options) => {
      const { tryOut } = await import('./try/try-out.js')
      done(await tryOut(options, io))
    })
}
