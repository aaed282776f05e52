/** Tests run as ES modules; TypeScript is stripped by swc and checked by `npm run check`. */
export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/__tests__/**/*.test.ts'],
  setupFilesAfterEnv: ['<rootDir>/__tests__/support/shared-machine.ts'],
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
    '^mcp-entra/file$': '<rootDir>/lib/storage/file.ts',
    '^mcp-entra/testing$': '<rootDir>/lib/testing/index.ts',
  },
  collectCoverageFrom: ['lib/**/*.ts'],
  coverageReporters: ['text', 'json'],
  testTimeout: 30_000,
}
