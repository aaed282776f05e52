/** Tests of an MCP server with `vitest`: `npx vitest run`. */
import { connect, startEntra } from 'mcp-entra/testing'
import { afterAll, expect, test } from 'vitest'
import { startServer } from './server.js'

const entra = await startEntra()
const server = await startServer(entra)
afterAll(() => Promise.all([server.close(), entra.close()]))

test('a tool knows who is calling', async () => {
  const ada = await connect(`${server.url}/mcp`, { as: 'ada@contoso.example' })
  const { content } = await ada.callTool({ name: 'whoami' })
  expect(content[0]?.text).toBe('ada@contoso.example')
  await ada.close()
})

test('writing needs notes.write', async () => {
  const reader = await connect(`${server.url}/mcp`, { as: 'bob@contoso.example' })
  await expect(reader.callTool({ name: 'add_note' })).rejects.toThrow(/insufficient.scope/i)
  await reader.close()
})
