/**
 * The clients: what to install, and how a user has each of them call a tool. Three kinds: libraries, in the smallest
 * program around them (`apps/`); programs that run while their user works, asked over stdio; and command lines, where each
 * call is a process of its own and a user who is told to log in runs `login`.
 *
 * Commands are without `npx`; `url` is that of the MCP endpoint; `env` is what a user would have set.
 */
export const clients = [
  {
    id: 'sdk-v1',
    name: 'MCP SDK v1',
    packages: ['@modelcontextprotocol/sdk'],
    app: 'sdk-v1.mjs',
  },
  {
    id: 'sdk-v2',
    name: 'MCP SDK v2',
    packages: ['@modelcontextprotocol/client'],
    app: 'sdk-v2.mjs',
  },
  { id: 'ai-sdk', name: 'AI SDK', packages: ['@ai-sdk/mcp'], app: 'ai-sdk.mjs' },
  {
    id: 'langchain',
    name: 'LangChain',
    packages: ['@langchain/mcp-adapters', '@langchain/core'],
    app: 'langchain.mjs',
  },
  { id: 'mastra', name: 'Mastra', packages: ['@mastra/mcp', '@mastra/core'], app: 'mastra.mjs' },
  {
    id: 'mcp-remote',
    name: 'mcp-remote',
    packages: ['mcp-remote'],
    stdio: ({ url }) => ['mcp-remote', url],
  },
  {
    id: 'inspector-cli',
    name: 'Inspector (command line)',
    packages: ['@modelcontextprotocol/inspector'],
    call: (tool, args, { url }) => [
      ...['mcp-inspector', '--cli', url, '--method', 'tools/call', '--tool-name', tool],
      ...Object.entries(args).flatMap(([name, value]) => ['--tool-arg', `${name}=${value}`]),
    ],
    login: ({ url }) => [['mcp-inspector', '--cli', url, '--method', 'tools/list', '--relogin']],
    env: { MCP_AUTO_OPEN_ENABLED: 'true', MCP_INSPECTOR_SECRET_STORE: 'file' },
  },
  {
    id: 'mcporter',
    name: 'mcporter',
    packages: ['mcporter'],
    setUp: ({ url }) => [['mcporter', 'config', 'add', 'notes', url, '--auth', 'oauth']],
    call: (tool, args) => [
      ...['mcporter', 'call', `notes.${tool}`],
      ...Object.entries(args).map(([name, value]) => `${name}=${value}`),
    ],
    login: () => [['mcporter', 'auth', 'notes', '--reset']],
  },
  {
    id: 'mcpc',
    name: 'mcpc',
    packages: ['@apify/mcpc'],
    setUp: ({ url }) => [
      ['mcpc', 'login', url],
      ['mcpc', 'connect', url, '@notes'],
    ],
    call: (tool, args) => [
      ...['mcpc', '@notes', 'tools-call', tool],
      ...Object.entries(args).map(([name, value]) => `${name}:=${JSON.stringify(value)}`),
    ],
    login: ({ url }) => [
      ['mcpc', 'login', url],
      ['mcpc', 'restart', '@notes'],
    ],
  },
]
