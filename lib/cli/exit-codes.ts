/** Exit codes: as expected, something is wrong (`doctor`) or failed, not understood. */
export const exitCodes = { ok: 0, failure: 1, usage: 2 } as const
