/** Tests run from the TypeScript sources as ES modules; see scripts/test.mjs for the flags. */
export default {
  roots: ['<rootDir>/src'],
  testMatch: ['**/*.test.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } }] },
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'] },
  cacheDirectory: '<rootDir>/node_modules/.cache/jest',
  testRunner: '<rootDir>/src/testing/jest-runner.cjs',
  testEnvironment: '<rootDir>/src/testing/jest-environment.cjs',
  coverageProvider: 'v8',
  collectCoverageFrom: ['src/**/*.ts', '!src/**/*.test.ts', '!src/testing/**'],
  // Only what hangs takes so long: a machine may have much else to do.
  testTimeout: 600_000,
};
