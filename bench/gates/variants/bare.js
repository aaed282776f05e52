/** No gate at all: what everything is compared to. */
export function makeGate() {
  return { middlewares: [] }
}
