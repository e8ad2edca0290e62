import { BACKBONE, BACKBONE_WEIGHTS } from '../fixtures/fixture.js';
import { node, tensor, value, type Entries, type GraphSpec, type ModelSpec, type TensorSpec } from '../model-spec.js';
import { bytes, bytesOf, floats, int, join, type Text } from '../wire-writer.js';
import { CUT, HOOK, INSPECT, model, network, type FaultCase, type FileContent } from './case.js';

/** Rows 40 to 60: tensors and external data. */

const EMBED = [...CUT, '--weights', 'embed'] as const;
const WEIGHT: TensorSpec = { name: 'stem.weight', dims: [4, 3, 3, 3] };
const VALUES = new Uint8Array(432).map((_byte, index) => index);

/** The network with one more initializer. */
const withTensor = (spec: TensorSpec) => model(() => network({ initializers: [...BACKBONE_WEIGHTS, spec] }));
/** The network with the weights of its first convolution outside. */
const outside =
  (
    entries: Entries,
    files: { readonly [path: string]: FileContent } = { 'w.bin': VALUES },
    spec: Partial<TensorSpec> = {},
  ) =>
  () => ({
    'm.onnx': network({ initializers: [{ ...WEIGHT, external: entries, ...spec }, ...BACKBONE_WEIGHTS.slice(1)] }),
    ...files,
  });
const at = (location: Text, files?: { readonly [path: string]: FileContent }) =>
  outside(
    [
      ['location', location],
      ['offset', '0'],
      ['length', '432'],
    ],
    files,
  );

const wrong = (
  row: number,
  name: string,
  code: string,
  spec: TensorSpec,
  more: Partial<FaultCase> = {},
): FaultCase => ({
  rows: [row],
  name,
  files: withTensor(spec),
  argv: INSPECT,
  exit: 3,
  code: `FEATX_GRAPH_${code}`,
  field: 'graph.initializer[4]',
  offset: 'known',
  ...more,
});
const refused = (
  row: number,
  name: string,
  code: string,
  files: FaultCase['files'],
  more: Partial<FaultCase> = {},
): FaultCase => ({
  rows: [row],
  name,
  files,
  argv: EMBED,
  exit: 5,
  code: `FEATX_EXTERNAL_${code}`,
  field: 'graph.initializer[0]',
  hint: /./,
  ...more,
});
const accepted = (row: number, name: string, files: FaultCase['files'], more: Partial<FaultCase> = {}): FaultCase => ({
  rows: [row],
  name,
  files,
  argv: EMBED,
  exit: 0,
  outputs: ['0', '1'],
  holds: () => [bytes(9, VALUES).bytes],
  ...more,
});

const DIMS: readonly FaultCase[] = [
  wrong(
    40,
    'dims of 2^40 by 2^40',
    'DIMS',
    { name: 't', dims: [2 ** 40, 2 ** 40] },
    { line: 'short values', message: /impossible dims/ },
  ),
  wrong(40, 'dims of 2^40 by 2^40, cut', 'DIMS', { name: 't', dims: [2 ** 40, 2 ** 40] }, { argv: CUT }),
  wrong(40, 'dims whose bytes are no number', 'DIMS', { name: 't', dims: [2 ** 52], type: 'complex128' }),
  wrong(
    40,
    'a claim of a tebibyte over 64 bytes',
    'DATA',
    { name: 't', dims: [2 ** 38], data: new Uint8Array(64) },
    { message: /has 64 bytes/ },
  ),
  wrong(41, 'a negative dim', 'DIMS', { name: 't', dims: [-1, 2] }, { line: 'short values' }),
  {
    rows: [41],
    name: 'no elements',
    files: withTensor(tensor('t', [0, 5], [])),
    argv: INSPECT,
    exit: 0,
    report: { model: { initializers: 5 } },
  },
  wrong(
    41,
    'too few bytes',
    'DATA',
    { name: 't', dims: [3], data: new Uint8Array(8) },
    { line: 'short values', message: /8 bytes.*take 12/ },
  ),
  wrong(
    41,
    'too many bytes',
    'DATA',
    { name: 't', dims: [1], data: new Uint8Array(8) },
    { line: 'long values', message: /8 bytes.*take 4/ },
  ),
  wrong(
    41,
    'too few values with a length of their own',
    'DATA',
    { name: 't', dims: [3], type: 'int64', data: [1, 2], typed: true },
    { message: /2 bytes/ },
  ),
  wrong(
    41,
    'values in two fields',
    'DATA',
    { name: 't', dims: [1], data: new Uint8Array(4), extra: floats(4, [1]) },
    { message: /2 fields \(9, 4\)/ },
  ),
  wrong(
    41,
    'a data_type that is none',
    'DTYPE',
    { name: 't', dims: [1], extra: [int(2, 99)] },
    { line: 'unknown numbers', message: /99/ },
  ),
  {
    rows: [41],
    name: 'a tensor in a Constant of a body',
    argv: INSPECT,
    exit: 3,
    code: 'FEATX_GRAPH_DATA',
    field: /then_branch|attribute\[0\]/,
    files: model(() =>
      network({
        initializers: [...BACKBONE_WEIGHTS, tensor('c', [], [1], 'bool')],
        nodes: [
          ...BACKBONE,
          node('If', ['c'], ['r'], {
            then_branch: {
              graph: {
                nodes: [node('Constant', [], ['t'], { value: { tensor: { dims: [3], data: new Uint8Array(8) } } })],
                outputs: [value('t')],
              },
            },
          }),
        ],
      }),
    ),
  },
  {
    rows: [42],
    name: 'three values of int4 in two bytes',
    files: withTensor({ name: 't', dims: [3], type: 'int4', data: Uint8Array.of(0x21, 0x03) }),
    argv: INSPECT,
    exit: 0,
  },
  wrong(
    42,
    'three values of int4 in three bytes',
    'DATA',
    { name: 't', dims: [3], type: 'int4', data: new Uint8Array(3) },
    { message: /take 2/ },
  ),
  wrong(42, 'three values of uint4 in one byte', 'DATA', {
    name: 't',
    dims: [3],
    type: 'uint4',
    data: new Uint8Array(1),
  }),
  wrong(42, 'five values of float4 in two bytes', 'DATA', {
    name: 't',
    dims: [5],
    type: 'float4e2m1',
    data: new Uint8Array(2),
  }),
  wrong(
    42,
    'five values of uint2 in one byte',
    'DATA',
    { name: 't', dims: [5], data: new Uint8Array(1), extra: [int(2, 25)] },
    { message: /take 2/ },
  ),
  wrong(
    42,
    'strings in raw_data',
    'DATA',
    { name: 't', dims: [1], type: 'string', data: new Uint8Array(3) },
    { message: /strings in raw_data/ },
  ),
];

/** Locations that lead out of the folder on some operating system at least, by row. */
const LOCATIONS: readonly (readonly [row: number, location: Text, line?: FaultCase['line']])[] = [
  [43, '../secret.bin', 'external escape'],
  [43, 'a/../../secret.bin'],
  [43, 'a/./../../secret.bin'],
  [43, 'sub/../../work-secret/w.bin'],
  [43, '..'],
  [43, '.'],
  [45, '/etc/hostname', 'external escape'],
  [45, '//server/share/w.bin'],
  [45, '~/w.bin'],
  [45, 'file:///etc/hostname'],
  [45, 'http://localhost/w.bin'],
  [45, 'C:\\w.bin'],
  [45, 'C:w.bin'],
  [45, '\\\\server\\share\\w.bin'],
  [45, '\\\\?\\C:\\w.bin'],
  [45, '\\\\.\\PhysicalDrive0'],
  [45, '..\\secret.bin'],
  [45, 'sub\\..\\..\\secret.bin'],
  [46, 'CON'],
  [46, 'NUL'],
  [46, 'nul.bin'],
  [46, 'COM1 '],
  [46, 'COM\u00b9'],
  [46, 'sub/aux'],
  [46, 'w.bin.'],
  [46, 'w.bin '],
  [46, 'w.bin:stream'],
  [46, 'sub\\lpt1.txt'],
  [47, 'w.bin\0', 'external NUL'],
  [47, 'w.bin\0.txt'],
  [47, ''],
  [47, Uint8Array.of(0x77, 0xff)],
  [57, '*/_ORT_MEM_ADDR_/*'],
  [57, 'sub/_ort_mem_addr_/x'],
];

const PATHS: readonly FaultCase[] = [
  ...LOCATIONS.map(
    ([row, location, line]): FaultCase =>
      refused(
        row,
        `location ${typeof location === 'string' ? JSON.stringify(location) : 'that is not UTF-8'}`,
        'LOCATION',
        at(location),
        line === undefined ? {} : { line },
      ),
  ),
  refused(43, 'location "../secret.bin", kept as a reference', 'LOCATION', at('../secret.bin'), { argv: CUT }),
  {
    rows: [43],
    name: 'location "../secret.bin", run',
    files: at('../secret.bin'),
    argv: ['run', 'm.onnx', '--out', '0', '--input', 'random', '-o', 'out.npz'],
    exit: 5,
    code: 'FEATX_EXTERNAL_LOCATION',
  },
  {
    rows: [43],
    name: 'location "../secret.bin", inspected',
    files: at('../secret.bin'),
    argv: INSPECT,
    exit: 0,
    report: { out_indices: [0, 1], model: { external_data: ['../secret.bin'] } },
    warns: [/'\.\.\/secret\.bin' leaves the directory of the model/],
  },
  refused(47, 'a location of 5,000 letters', 'KEY', at('x'.repeat(5_000)), { message: /longer than 4096/ }),
  accepted(44, 'location "sub/../w.bin"', at('sub/../w.bin', { 'w.bin': VALUES, sub: { folder: true } })),
  accepted(44, 'location "./w.bin"', at('./w.bin')),
  accepted(44, 'location "sub\\\\w.bin" is a file in a folder', at('sub\\w.bin', { 'sub/w.bin': VALUES })),
  refused(48, 'a link out of the folder', 'LINK', at('w.bin', { 'w.bin': { link: '../secret.bin' } }), {
    posix: true,
    line: 'external escape',
  }),
  refused(
    48,
    'a link to a file beside the folder whose name begins alike',
    'LINK',
    at('w.bin', { 'w.bin': { link: '../work-secret/w.bin' } }),
    { posix: true },
  ),
  refused(48, 'a folder that is a link out', 'LINK', at('sub/secret.bin', { sub: { link: '..' } }), { posix: true }),
  refused(
    48,
    'a link to a link out',
    'LINK',
    at('w.bin', { 'w.bin': { link: 'v.bin' }, 'v.bin': { link: '../secret.bin' } }),
    { posix: true },
  ),
  accepted(49, 'a link inside the folder', at('w.bin', { 'w.bin': { link: 'sub/v.bin' }, 'sub/v.bin': VALUES }), {
    posix: true,
    line: 'external link inside',
  }),
  {
    rows: [49],
    name: 'a model that links into a cache, as its weights do',
    line: 'external link inside',
    posix: true,
    exit: 0,
    outputs: ['0', '1'],
    holds: () => [bytes(9, VALUES).bytes],
    files: () => ({
      'blobs/aaa': at('w.bin')()['m.onnx'],
      'blobs/bbb': VALUES,
      'snapshot/m.onnx': { link: '../blobs/aaa' },
      'snapshot/w.bin': { link: '../blobs/bbb' },
    }),
    argv: ['extract', 'snapshot/m.onnx', '--out', '0,1', '--weights', 'embed', '-o', 'out.onnx'],
  },
  accepted(50, 'a second name of a file elsewhere', at('w.bin', { 'w.bin': { hardLink: '../hard.bin' } }), {
    posix: true,
    line: 'external hard link',
    holds: () => [],
    warns: [/2 hard links/],
  }),
  refused(
    50,
    'a second name of a file elsewhere, under --strict-external',
    'HARD_LINK',
    at('w.bin', { 'w.bin': { hardLink: '../hard.bin' } }),
    { posix: true, line: 'external hard link', argv: [...EMBED, '--strict-external'] },
  ),
  refused(51, 'a folder', 'KIND', at('sub', { sub: { folder: true } }), { hint: undefined }),
  refused(51, 'a pipe that nobody writes to', 'KIND', at('pipe', { pipe: { pipe: true } }), {
    posix: true,
    hint: undefined,
  }),
  refused(51, 'a device', 'LINK', at('zero', { zero: { link: '/dev/zero' } }), { posix: true }),
];

const RANGES: readonly FaultCase[] = [
  ...['-1', '0x10', ' 16', '16zz', '9223372036854775807', '1.5', '', '1e3'].map((offset) =>
    refused(
      52,
      `offset ${JSON.stringify(offset)}`,
      'RANGE',
      outside([
        ['location', 'w.bin'],
        ['offset', offset],
        ['length', '432'],
      ]),
      { line: 'external range', argv: CUT },
    ),
  ),
  ...['-1', '432 ', '99999999999999999999'].map((length) =>
    refused(
      52,
      `length ${JSON.stringify(length)}`,
      'RANGE',
      outside([
        ['location', 'w.bin'],
        ['length', length],
      ]),
    ),
  ),
  ...(
    [
      ['an offset beyond the file', [['offset', '4096']]],
      [
        'a length beyond the file',
        [
          ['offset', '16'],
          ['length', '432'],
        ],
      ],
      ['another length than the shape', [['length', '400']]],
      ['the rest of a file that is too short', [['offset', '4']]],
    ] as const
  ).map(
    ([name, entries]): FaultCase => ({
      rows: [53],
      name,
      line: 'external range',
      files: outside([['location', 'w.bin'], ...entries]),
      argv: EMBED,
      exit: 3,
      code: 'FEATX_GRAPH_DATA',
      field: 'graph.initializer[0]',
      message: /does not fit/,
    }),
  ),
  accepted(
    54,
    'one range for two tensors',
    () => ({
      'm.onnx': network({
        initializers: [
          ...['stem.weight', 'tied'].map(
            (name): TensorSpec => ({ ...WEIGHT, name, external: [['location', 'w.bin']] }),
          ),
          ...BACKBONE_WEIGHTS.slice(1),
        ],
      }),
      'w.bin': VALUES,
    }),
    { argv: [...HOOK, '--weights', 'embed'], outputs: ['y', 'stem/act'] },
  ),
  ...(
    [
      [['--weights', 'external'], 0],
      [['--weights', 'external', '--strict'], 2],
    ] as const
  ).map(
    ([flags, exit]): FaultCase => ({
      rows: [54],
      name: `two ranges that overlap in part${exit === 0 ? '' : ', under --strict'}`,
      exit,
      argv: [...HOOK, ...flags],
      files: () => ({
        'm.onnx': network({
          initializers: [
            ['stem.weight', '0', [4, 3, 3, 3, 4]],
            ['tied', '864', [4, 3, 3, 3, 4]],
          ]
            .map(([name, offset, dims]) => ({
              name: String(name),
              dims: dims as number[],
              external: [
                ['location', 'w.bin'],
                ['offset', String(offset)],
                ['length', '1728'],
              ] as Entries,
            }))
            .concat(BACKBONE_WEIGHTS.slice(1) as never),
        }),
        'w.bin': new Uint8Array(4000),
      }),
      ...(exit === 0
        ? { outputs: ['y', 'stem/act'], warns: [/overlap in part/], creates: [/^out\.onnx\.[0-9a-f]{8}\.data$/] }
        : { code: 'FEATX_STRICT', message: /overlap in part/ }),
    }),
  ),
];

const MISSING: readonly FaultCase[] = [
  {
    rows: [55],
    name: 'a file that is not there',
    files: at('gone.bin'),
    argv: EMBED,
    exit: 4,
    code: 'FEATX_IO_NOT_FOUND',
    message: /graph\.initializer\[0\].*gone\.bin/,
  },
  {
    rows: [55],
    name: 'a file that is not there, run',
    files: at('gone.bin'),
    argv: ['run', 'm.onnx', '--out', '0', '--input', 'random', '-o', 'out.npz'],
    exit: 4,
    code: 'FEATX_IO_NOT_FOUND',
    message: /gone\.bin/,
    isSlow: true,
  },
  {
    rows: [55],
    name: 'a file that is not there, inspected',
    files: at('gone.bin'),
    argv: INSPECT,
    exit: 0,
    report: { out_indices: [0, 1] },
    warns: [/gone\.bin is missing/],
  },
  {
    rows: [55],
    name: 'a file that is not there, inspected under --strict',
    files: at('gone.bin'),
    argv: [...INSPECT, '--strict'],
    exit: 2,
    code: 'FEATX_STRICT',
    message: /gone\.bin/,
  },
  {
    rows: [55],
    name: 'a file that is not there, beside which the cut lies',
    files: at('gone.bin'),
    argv: CUT,
    exit: 0,
    outputs: ['0', '1'],
    holds: () => [bytesOf('gone.bin')],
  },
  refused(
    56,
    'the key `location` twice',
    'KEY',
    outside([
      ['location', 'w.bin'],
      ['location', '../secret.bin'],
    ]),
    { line: 'external key twice', message: /'location' stands twice/ },
  ),
  refused(
    56,
    'the key `offset` twice',
    'KEY',
    outside([
      ['location', 'w.bin'],
      ['offset', '0'],
      ['offset', '8'],
    ]),
  ),
  refused(56, 'no location', 'LOCATION', outside([['offset', '0']]), { message: /names no location/ }),
  accepted(
    56,
    'keys that JavaScript or Python know',
    outside([
      ['location', 'w.bin'],
      ['__proto__', '1'],
      ['__class__', '2'],
    ]),
    { line: 'external key unknown', warns: [/'__proto__' is ignored/, /'__class__' is ignored/] },
  ),
  accepted(
    56,
    'the key `basepath` leads nowhere',
    outside([
      ['location', 'w.bin'],
      ['basepath', '/etc'],
    ]),
  ),
  accepted(
    56,
    'an unknown key is copied with its tensor',
    outside([
      ['location', 'w.bin'],
      ['mine', 'kept'],
    ]),
    { line: 'external key unknown', argv: CUT, warns: [/'mine' is ignored/], holds: () => [bytesOf('kept')] },
  ),
];

const SECRET: TensorSpec = { name: 'w', dims: [108], external: [['location', '../secret.bin']] };
const SMALL: TensorSpec = { dims: [1], type: 'int64', data: [0] };
const inGraph = (more: Partial<GraphSpec>, spec: Partial<ModelSpec> = {}) =>
  model(() =>
    network(
      {
        ...more,
        nodes: [...BACKBONE, ...(more.nodes ?? [])],
        initializers: [...BACKBONE_WEIGHTS, ...(more.initializers ?? [])],
      },
      spec,
    ),
  );
const inFunction = (value: TensorSpec): Partial<ModelSpec> => ({
  opset: [
    ['', 17],
    ['d', 1],
  ],
  functions: [
    {
      name: 'F',
      domain: 'd',
      inputs: ['p'],
      outputs: ['q'],
      nodes: [node('Constant', [], ['c'], { value: { tensor: value } }), node('Add', ['p', 'c'], ['q'])],
    },
  ],
});

/** Everywhere a tensor may stand, each pointing out of the folder. */
const POSITIONS: readonly (readonly [name: string, files: FaultCase['files']])[] = [
  [
    'values of a sparse initializer',
    inGraph({ sparseInitializers: [{ values: SECRET, indices: SMALL, dims: [999] }] }),
  ],
  [
    'indices of a sparse initializer',
    inGraph({
      sparseInitializers: [{ values: { ...SMALL, name: 's' }, indices: { ...SECRET, name: '' }, dims: [999] }],
    }),
  ],
  ['a Constant', inGraph({ nodes: [node('Constant', [], ['k'], { value: { tensor: SECRET } })] })],
  [
    'a sparse Constant',
    inGraph({
      nodes: [
        node('Constant', [], ['k'], { sparse_value: { sparse: { values: SECRET, indices: SMALL, dims: [999] } } }),
      ],
    }),
  ],
  [
    'an initializer of a body',
    inGraph({
      initializers: [tensor('c', [], [1], 'bool')],
      nodes: [
        node('If', ['c'], ['r'], {
          then_branch: { graph: { initializers: [SECRET], nodes: [node('Neg', ['w'], ['t'])], outputs: [value('t')] } },
        }),
      ],
    }),
  ],
  ['a Constant of a function', inGraph({ nodes: [node('F', ['y'], ['z'], {}, { domain: 'd' })] }, inFunction(SECRET))],
  ['training', inGraph({}, { trainingInfo: [{ algorithm: { initializers: [SECRET] } }] })],
];

const PLACES: readonly FaultCase[] = [
  ...POSITIONS.map(([name, files]) =>
    refused(58, `a location outside, in ${name}`, 'LOCATION', files, {
      argv: [...HOOK, '--weights', 'embed'],
      field: /./,
    }),
  ),
  ...POSITIONS.slice(0, 3).map(([name, files]) =>
    refused(58, `a location outside, in ${name}, kept as a reference`, 'LOCATION', files, { argv: HOOK, field: /./ }),
  ),
  ...POSITIONS.slice(0, 6).map(
    ([name, files]): FaultCase => ({
      rows: [58],
      name: `a location outside, in ${name}, run`,
      files,
      argv: [
        'run',
        'm.onnx',
        '--tensor',
        name.includes('function')
          ? 'z'
          : name.includes('body')
            ? 'r'
            : name.endsWith('Constant')
              ? 'k'
              : name.startsWith('values')
                ? 'w'
                : 's',
        '--input',
        'random',
        '-o',
        'out.npz',
      ],
      exit: 5,
      code: 'FEATX_EXTERNAL_LOCATION',
      isSlow: true,
    }),
  ),
  {
    rows: [59],
    name: 'an output that is a sidecar of the model',
    files: at('w.bin'),
    argv: ['extract', 'm.onnx', '--out', '0', '-o', 'w.bin'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
    hint: /choose another output/,
  },
  {
    rows: [59],
    name: 'an output that is a sidecar of the model, in place',
    files: at('w.bin'),
    argv: ['extract', 'm.onnx', '--out', '0', '--in-place', '-o', 'w.bin'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
  },
  {
    rows: [59],
    name: 'features over a sidecar of the model',
    files: at('w.npz', { 'w.npz': VALUES }),
    argv: ['run', 'm.onnx', '--out', '0', '--input', 'random', '-o', 'w.npz'],
    exit: 2,
    code: 'FEATX_USAGE_SAME_FILE',
    isSlow: true,
  },
  {
    rows: [59],
    name: 'a new sidecar has a name of its own',
    files: () => ({
      'm.onnx': network({ initializers: [...BACKBONE_WEIGHTS] }),
      'out.onnx.data': bytesOf('something else'),
    }),
    argv: [...CUT, '--weights', 'external'],
    exit: 0,
    outputs: ['0', '1'],
    creates: [/^out\.onnx\.[0-9a-f]{8}\.data$/],
  },
];

/** A .npy file with a header of this text. */
function npy(header: string, data: Uint8Array = new Uint8Array(0), length = header.length): Uint8Array {
  return join(
    Uint8Array.of(0x93),
    bytesOf('NUMPY'),
    Uint8Array.of(1, 0),
    new Uint8Array(Uint16Array.of(length).buffer),
    bytesOf(header),
    data,
  );
}

const input = (
  name: string,
  code: string,
  exit: 3 | 5,
  bytesOfInput: () => Uint8Array,
  message: RegExp,
): FaultCase => ({
  rows: [60],
  name,
  files: () => ({ 'm.onnx': network(), 'x.npy': bytesOfInput() }),
  argv: ['run', 'm.onnx', '--out', '0', '--input', 'x.npy', '-o', 'out.npz'],
  exit,
  code,
  message,
  isSlow: true,
});

const ARRAYS: readonly FaultCase[] = [
  input(
    'an array of Python objects',
    'FEATX_TENSOR_UNSUPPORTED',
    3,
    () => npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", bytesOf('\x80\x04.')),
    /object/,
  ),
  input(
    'an array of 8 TiB in 128 bytes',
    'FEATX_TENSOR_FORMAT',
    3,
    () => npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }\n"),
    /x\.npy/,
  ),
];

export const TENSOR_CASES: readonly FaultCase[] = [...DIMS, ...PATHS, ...RANGES, ...MISSING, ...PLACES, ...ARRAYS];
