// npm run check:coverage: every branch of the reader, the writer and the gate is taken by the tests beside them. The
// whole project: npm test -- --coverage.
import { node } from './ready.mjs';

const SOURCES = [
  'wire/fields',
  'wire/pieces',
  'wire/window',
  'wire/source',
  'wire/file-source',
  'wire/file-state',
  'wire/put-in-place',
  'wire/sink',
  'wire/target',
  'wire/temporary-names',
  'wire/writers',
  'wire/encode',
  'wire/sidecar-files',
  'wire/text',
  'onnx/reader',
  'onnx/external-data',
  'rewrite/splice',
].map((name) => `src/${name}.ts`);
const TESTS = [
  'src/wire/',
  'src/onnx/external-',
  'src/onnx/hostile',
  'src/onnx/model.test',
  'src/onnx/payloads',
  'src/onnx/reader',
  'src/rewrite/laws',
  'src/rewrite/splice',
  'src/rewrite/weights',
];

node([
  '--experimental-vm-modules',
  '--no-warnings',
  'node_modules/jest/bin/jest.js',
  '--coverage',
  '--coverageReporters=text',
  ...SOURCES.map((source) => `--collectCoverageFrom=${source}`),
  `--coverageThreshold=${JSON.stringify({ global: { branches: 100 } })}`,
  '--maxWorkers=100%',
  ...TESTS,
]);
