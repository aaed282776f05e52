/** For the tests, which use it too. */
export function freePort(): Promise<number>
