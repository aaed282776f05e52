/** Mastra. */
import { MCPClient } from '@mastra/mcp'
import { auth } from '@modelcontextprotocol/client'
import { provider, serve, serverUrl } from './app.mjs'

let tools

await serve({
  async call(name, args) {
    if (!tools) {
      const notes = { url: serverUrl, authProvider: provider }
      const client = new MCPClient({ id: crypto.randomUUID(), servers: { notes } })
      const found = await client.listTools()
      if (!found[`notes_${name}`]) throw new Error('Mastra found no tools')
      tools = found
    }
    const result = await tools[`notes_${name}`].execute(args, {})
    if (result?.isError || result?.error) throw new Error(JSON.stringify(result))
    return JSON.stringify(result)
  },
  finish: (answer) =>
    auth(provider, {
      serverUrl,
      authorizationCode: answer.get('code'),
      iss: answer.get('iss') ?? undefined,
    }),
})
