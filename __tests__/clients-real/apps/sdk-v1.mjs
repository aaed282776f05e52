/** SDK v1. */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { provider, serve, serverUrl } from './app.mjs'

const newTransport = () => new StreamableHTTPClientTransport(serverUrl, { authProvider: provider })
let client

await serve({
  async call(name, args) {
    if (!client) {
      const fresh = new Client({ name: 'app', version: '1' })
      await fresh.connect(newTransport())
      client = fresh
    }
    const { content } = await client.callTool({ name, arguments: args })
    return content[0].text
  },
  finish: (answer) => newTransport().finishAuth(answer.get('code')),
})
