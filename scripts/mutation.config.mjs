/** Stryker's settings for one pass of `npm run check:mutation`: one source, held against the tests beside it. */
import settings from '../jest.config.js';

const { source, tests, report } = JSON.parse(process.env.FEATX_MUTATION ?? '{}');

export default {
  testRunner: 'jest',
  coverageAnalysis: 'perTest',
  mutate: [source],
  jest: {
    projectType: 'custom',
    enableFindRelatedTests: false,
    // Stryker resolves the environment by itself and does not know <rootDir>.
    config: {
      ...settings,
      // Stryker follows the tests through the environment of a realm.
      testRunner: 'jest-circus/runner',
      testEnvironment: './src/testing/jest-environment.cjs',
      testMatch: tests.map((path) => `**/${path}`),
    },
  },
  concurrency: 1,
  // Jest keeps the modules of every run it has made.
  maxTestRunnerReuse: 50,
  // Long, so that a busy machine is not taken for a mutant that hangs; a pass has dozens of those.
  timeoutMS: 12_000,
  tempDirName: 'bench/tmp/mutation',
  ignorePatterns: ['/bench', '/dist', '/dist.next', '/schema', '/docs', '/.github', '/.ci'],
  // TypeScript 7 has no API for Stryker to rewrite tsconfig.json with, and nothing here reads it.
  tsconfigFile: 'none.json',
  // Lines that say how far it is: a pass takes minutes.
  reporters: ['json', 'progress-append-only'],
  jsonReporter: { fileName: report },
  logLevel: 'warn',
};
