import { availableParallelism } from 'node:os'

/** Tests run as ES modules; TypeScript is stripped by swc and checked by `npm run check`. */
export default {
  globalSetup: '<rootDir>/__tests__/support/prepare.mjs',
  // One more than there are cores: most suites wait for a network, a clock or a program now and then.
  maxWorkers: availableParallelism() + 1,
  testSequencer: '<rootDir>/__tests__/support/slow-first.mjs',
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  reporters: ['default', '<rootDir>/__tests__/support/skip-reporter.mjs'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2023' },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'],
    '^mcp-entra$': '<rootDir>/lib/index.ts',
    '^mcp-entra/redis$': '<rootDir>/lib/storage/redis.ts',
    '^mcp-entra/account$': '<rootDir>/lib/account/index.ts',
    '^mcp-entra/file$': '<rootDir>/lib/storage/file.ts',
    '^mcp-entra/testing$': '<rootDir>/__tests__/support/testing.ts',
  },
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageReporters: ['text', 'json'],
  testTimeout: 30_000,
}
