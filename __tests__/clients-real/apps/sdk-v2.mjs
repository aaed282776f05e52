/** SDK v2. */
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
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
  finish: (answer) => newTransport().finishAuth(answer),
})
