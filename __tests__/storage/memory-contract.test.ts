/** The storage contract on memory. */
import { memoryStorage } from 'mcp-entra'
import { describeStorage } from 'mcp-entra/testing'

describeStorage('memoryStorage', () => {
  const clock = { now: 1_800_000_000_000 }
  return {
    storage: memoryStorage({ now: () => clock.now }),
    close() {},
    advance(seconds) {
      clock.now += seconds * 1000
    },
  }
})
