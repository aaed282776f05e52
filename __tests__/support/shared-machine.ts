/**
 * On CI the machine is shared, and a test that waits for a real clock, a real Redis or a real browser may be
 * starved once. It is then run a second time, and what went wrong the first time is printed.
 */
import { jest } from '@jest/globals'

if (process.env.CI) jest.retryTimes(1, { logErrorsBeforeRetry: true })
