/** Vercel's AI SDK. */
import { auth, createMCPClient } from '@ai-sdk/mcp'
import { provider, serve, serverUrl } from './app.mjs'

let tools

await serve({
  async call(name, args) {
    if (!tools) {
      const transport = { type: 'http', url: serverUrl.href, authProvider: provider }
      tools = await (await createMCPClient({ transport })).tools()
    }
    const { content } = await tools[name].execute(args, { toolCallId: '1', messages: [] })
    return content[0].text
  },
  finish: (answer) =>
    auth(provider, {
      serverUrl,
      authorizationCode: answer.get('code'),
      callbackState: answer.get('state'),
      callbackIssuer: answer.get('iss'),
    }),
})
