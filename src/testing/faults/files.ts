import { BACKBONE_WEIGHTS } from '../fixtures/fixture.js';
import { bytesOf, join } from '../wire-writer.js';
import { CUT, INSPECT, model, network, type FaultCase } from './case.js';

/** Rows 70 to 88: files, processes, devices. */

const good = model(() => network());
const usage = (
  row: number,
  name: string,
  code: string,
  files: FaultCase['files'],
  output: string,
  more: Partial<FaultCase> = {},
): FaultCase => ({
  rows: [row],
  name,
  files,
  argv: ['extract', 'm.onnx', '--out', '0', '-o', output],
  exit: 2,
  code: `FEATX_USAGE_${code}`,
  hint: /./,
  ...more,
});
const io = (
  row: number,
  name: string,
  code: string,
  files: FaultCase['files'],
  argv: readonly string[],
  more: Partial<FaultCase> = {},
): FaultCase => ({ rows: [row], name, files, argv, exit: 4, code, ...more });

/** A shard of a batch that made one file, an empty one. */
const MANIFEST = {
  schema: 1,
  command: 'batch-manifest',
  featx: '0.1.0',
  plan: 'p',
  shard: { index: 1, count: 1 },
  root: '.',
  total: 1,
  items: [
    {
      position: 0,
      item: 'm.onnx',
      output: 'cut.onnx',
      status: 'done',
      error: null,
      files: [
        { path: 'cut.onnx', size_bytes: 0, sha256: 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855' },
      ],
    },
  ],
};

/** An image of ones, [1, 3, 8, 8]. */
function npyOfOnes(): Uint8Array {
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3, 8, 8), }".padEnd(117, ' ') + '\n';
  return join(
    Uint8Array.of(0x93),
    bytesOf('NUMPY'),
    Uint8Array.of(1, 0, header.length, 0),
    bytesOf(header),
    new Uint8Array(new Float32Array(192).fill(1).buffer),
  );
}

const TARGETS: readonly FaultCase[] = [
  usage(70, 'the output is the input', 'SAME_FILE', good, 'm.onnx', { hint: /--in-place/ }),
  usage(70, 'the output is the input, spelt otherwise', 'SAME_FILE', good, './sub/../m.onnx', {
    files: () => ({ ...good(), sub: { folder: true } }),
  }),
  usage(
    70,
    'the output is a second name of the input',
    'SAME_FILE',
    () => ({ ...good(), 'n.onnx': { hardLink: 'm.onnx' } }),
    'n.onnx',
    { posix: true },
  ),
  usage(
    70,
    'the output is a link to the input',
    'LINK',
    () => ({ ...good(), 'n.onnx': { link: 'm.onnx' } }),
    'n.onnx',
    { posix: true },
  ),
  usage(
    70,
    'the output is a link to the input, and followed',
    'SAME_FILE',
    () => ({ ...good(), 'n.onnx': { link: 'm.onnx' } }),
    'n.onnx',
    { posix: true, argv: ['extract', 'm.onnx', '--out', '0', '-o', 'n.onnx', '--follow'] },
  ),
  usage(
    70,
    'the input is a link to the output',
    'SAME_FILE',
    () => ({ 'n.onnx': network(), 'm.onnx': { link: 'n.onnx' } }),
    'n.onnx',
    { posix: true },
  ),
  {
    rows: [70],
    name: 'a profile over the model',
    files: good,
    argv: ['run', 'm.onnx', '--out', '0', '--input', 'random', '--profile', 'm.onnx'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
  },
  {
    rows: [70],
    name: 'a profile over an input',
    files: () => ({ ...good(), 'x.npy': npyOfOnes() }),
    argv: ['run', 'm.onnx', '--out', '0', '--input', 'x.npy', '--profile', 'x.npy'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
    isSlow: true,
  },
  {
    rows: [70],
    name: 'a profile over the features',
    files: good,
    argv: ['run', 'm.onnx', '--out', '0', '--input', 'random', '--profile', './out.npz', '-o', 'out.npz'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
    hint: /another --profile/,
  },
  {
    rows: [70],
    name: 'a config over the model that it is of',
    files: good,
    argv: ['init', 'm.onnx', '--force', '-o', 'm.onnx'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
  },
  {
    rows: [70],
    name: 'a cut over the FeatureInfo that it was made with',
    files: () => ({
      ...good(),
      'f.json': bytesOf('[{"num_chs": 4, "reduction": 2, "module": "stem", "tensor": "stem/act"}]'),
    }),
    argv: ['extract', 'm.onnx', '--features', 'f.json', '--out', '0', '-o', 'f.json'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
  },
  {
    rows: [70],
    name: 'a merged manifest over one of a shard',
    files: () => ({ 'shard.json': bytesOf(JSON.stringify(MANIFEST)), 'cut.onnx': new Uint8Array(0) }),
    argv: ['merge', 'shard.json', '-o', './shard.json'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
  },
  {
    rows: [70],
    name: 'a merged manifest over what a shard made',
    files: () => ({ 'shard.json': bytesOf(JSON.stringify(MANIFEST)), 'cut.onnx': new Uint8Array(0) }),
    argv: ['merge', 'shard.json', '-o', './cut.onnx'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
  },
  usage(
    71,
    'the output is a link',
    'LINK',
    () => ({ ...good(), 'n.onnx': { link: 'old.onnx' }, 'old.onnx': bytesOf('old') }),
    'n.onnx',
    { posix: true, hint: /--follow/ },
  ),
  usage(71, 'the output is a link to nothing', 'LINK', () => ({ ...good(), 'n.onnx': { link: 'nothing' } }), 'n.onnx', {
    posix: true,
  }),
  usage(71, 'the output is a folder', 'OUTPUT', () => ({ ...good(), sub: { folder: true } }), 'sub'),
  usage(71, 'the output is a pipe', 'OUTPUT', () => ({ ...good(), pipe: { pipe: true } }), 'pipe', { posix: true }),
  io(
    74,
    'a folder that is a file',
    'FEATX_IO',
    () => ({ ...good(), no: bytesOf('a file') }),
    ['extract', 'm.onnx', '--out', '0', '-o', 'no/out.onnx'],
    { message: /not a directory/ },
  ),
  io(
    74,
    'a name that is too long',
    'FEATX_IO',
    good,
    ['extract', 'm.onnx', '--out', '0', '-o', `${'n'.repeat(300)}.onnx`],
    { message: /too long/ },
  ),
  io(74, 'an output that must not be replaced', 'FEATX_IO_EXISTS', good, [...CUT, '--no-clobber'], {
    hint: /--no-clobber/,
  }),
  io(74, 'a model that is not there', 'FEATX_IO_NOT_FOUND', () => ({}), CUT),
  io(74, 'a model that is a folder', 'FEATX_IO_KIND', () => ({ 'm.onnx': { folder: true } }), CUT),
  io(74, 'a model that is a pipe', 'FEATX_IO_KIND', () => ({ 'm.onnx': { pipe: true } }), INSPECT, {
    posix: true,
    hint: /standard input/,
  }),
  {
    rows: [76],
    name: 'what a killed run left goes, what is not ours stays',
    files: () => ({ ...good(), '.featx-notes.tmp': bytesOf('mine') }),
    argv: CUT,
    exit: 0,
    outputs: ['0', '1'],
  },
];

const RUNS: readonly FaultCase[] = [
  {
    rows: [86],
    name: 'an index that no memory holds',
    files: model(() => network({ initializers: [...BACKBONE_WEIGHTS] })),
    argv: [...INSPECT, '--max-index', '1KiB'],
    exit: 5,
    code: 'FEATX_LIMIT_INDEX',
    hint: /--max-index/,
  },
  {
    rows: [87],
    name: 'a provider that is not there',
    line: 'missing provider',
    files: good,
    argv: [
      'run',
      'm.onnx',
      '--out',
      '0',
      '--input',
      'random',
      '--provider',
      process.platform === 'darwin' ? 'dml' : 'coreml',
      '-o',
      'out.npz',
    ],
    exit: 6,
    code: 'FEATX_DEVICE',
    isSlow: true,
  },
  {
    rows: [87],
    name: 'a provider that nobody has',
    files: good,
    argv: ['run', 'm.onnx', '--out', '0', '--input', 'random', '--provider', 'abacus', '-o', 'out.npz'],
    exit: 2,
    code: 'FEATX_USAGE_PROVIDER',
    message: /abacus/,
  },
  {
    rows: [88],
    name: 'a cut whose original is another file by now',
    files: () => ({
      'm.onnx': network(
        {},
        {
          metadata: [
            ['featx.reference', JSON.stringify({ schema: 1, file: 'w.onnx', size_bytes: 3, sha256: '0'.repeat(64) })],
          ],
        },
      ),
      'w.onnx': network(),
    }),
    argv: INSPECT,
    exit: 5,
    code: 'FEATX_REFERENCE_CHANGED',
    hint: /cut again/,
  },
  {
    rows: [88],
    name: 'a cut that says it points out of its folder',
    files: model(() =>
      network(
        {},
        {
          metadata: [
            [
              'featx.reference',
              JSON.stringify({ schema: 1, file: '../secret.bin', size_bytes: 3, sha256: '0'.repeat(64) }),
            ],
          ],
        },
      ),
    ),
    argv: CUT,
    exit: 5,
    code: 'FEATX_EXTERNAL_LOCATION',
  },
];

export const FILE_CASES: readonly FaultCase[] = [...TARGETS, ...RUNS];
