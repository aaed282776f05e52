/** What an application has mounted of one `entraAuth`, whichever of the middlewares was made first. */
export interface Mounts {
  /** Whether something here answers the requests for discovery documents. */
  readonly servesDiscovery: boolean
  noteDiscovery(): void
  /** True the first time it is asked about this. */
  isFirst(what: string): boolean
}

/** Nothing is mounted yet. */
export function noMounts(): Mounts {
  let servesDiscovery = false
  const asked = new Set<string>()
  return Object.freeze({
    get servesDiscovery() {
      return servesDiscovery
    },
    noteDiscovery() {
      servesDiscovery = true
    },
    isFirst(what: string) {
      const isNew = !asked.has(what)
      asked.add(what)
      return isNew
    },
  })
}
