/** One request of the user's browser. */
import type { IncomingMessage, ServerResponse } from 'node:http'

/** A request of the user's browser, and our answer to it: cookies are read from one and set on the other. */
export interface Browser {
  readonly req: IncomingMessage
  readonly res: ServerResponse
}
