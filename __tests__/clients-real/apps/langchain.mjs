/** LangChain's adapters. */
import { MultiServerMCPClient } from '@langchain/mcp-adapters'
import { auth } from '@modelcontextprotocol/sdk/client/auth.js'
import { provider, serve, serverUrl } from './app.mjs'

let tools

await serve({
  async call(name, args) {
    if (!tools) {
      const notes = { transport: 'http', url: serverUrl.href, authProvider: provider }
      tools = await new MultiServerMCPClient({ mcpServers: { notes } }).getTools()
    }
    return tools.find((tool) => tool.name === name).invoke(args)
  },
  finish: (answer) => auth(provider, { serverUrl, authorizationCode: answer.get('code') }),
})
