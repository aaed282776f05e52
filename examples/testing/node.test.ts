/** Tests of an MCP server with `node:test`: `node --test`. */
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { connect, startEntra } from 'mcp-entra/testing'
import { startServer } from './server.js'

const entra = await startEntra()
const server = await startServer(entra)
after(() => Promise.all([server.close(), entra.close()]))

test('a tool knows who is calling', async () => {
  const ada = await connect(`${server.url}/mcp`, { as: 'ada@contoso.example' })
  const { content } = await ada.callTool({ name: 'whoami' })
  assert.equal(content[0]?.text, 'ada@contoso.example')
  await ada.close()
})

test('writing needs notes.write', async () => {
  const reader = await connect(`${server.url}/mcp`, { as: 'bob@contoso.example' })
  await assert.rejects(reader.callTool({ name: 'add_note' }), /insufficient.scope/i)
  await reader.close()
})
