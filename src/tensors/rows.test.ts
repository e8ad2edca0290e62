import { mkdtemp, readFile, rm, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parquetMetadata, parquetReadObjects, toJson } from 'hyparquet';
import type { TensorValue } from '../onnx/tensor-value.js';
import { readTensors } from './array-file.js';
import type { WriterOptions } from './feature-writer.js';
import { openWriter } from './open-writer.js';
import type { Entry, Provenance } from './provenance.js';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'featx-rows-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const PROVENANCE: Provenance = {
  schema: 1,
  featx: '1.2.3',
  model: { name: 'm.onnx', sha256: 'ab' },
  features: [{ output: 'v', index: 0, module: 'layer', tensor: 't', layout: null }],
  preprocessing: [],
};
const float = (shape: readonly number[], ...values: number[]): TensorValue => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});
/** Two entries, then one: a vector, a map, a number, a label, a half, a large integer, and yes or no. */
const BATCHES: readonly (readonly [Map<string, TensorValue>, readonly Entry[]])[] = [
  [
    new Map<string, TensorValue>([
      ['v', float([2, 3], 0.1, -0, 1e-45, 3.4028234663852886e38, 16777217, 1 / 3)],
      ['map', float([2, 2, 1], 1, 2, 3, 4)],
      ['n', { dtype: 'int64', shape: [2], data: BigInt64Array.of(2n ** 62n + 1n, -1n) }],
      ['label', { dtype: 'string', shape: [2], data: ['a "quoted", one\n', 'ü𝄞'] }],
      ['half', { dtype: 'float16', shape: [2, 1], data: Uint16Array.of(0x3c00, 0x2e66) }],
      ['is', { dtype: 'bool', shape: [2], data: Uint8Array.of(0, 1) }],
      ['count', { dtype: 'uint32', shape: [2], data: Uint32Array.of(4294967295, 0) }],
    ]),
    [
      { file: 'a.png', index: 0 },
      { file: 'b, "c".png', index: 0 },
    ],
  ],
  [
    new Map<string, TensorValue>([
      ['v', float([1, 3], 1, 2, 3)],
      ['map', float([1, 2, 1], 5, 6)],
      ['n', { dtype: 'int64', shape: [1], data: BigInt64Array.of(7n) }],
      ['label', { dtype: 'string', shape: [1], data: [''] }],
      ['half', { dtype: 'float16', shape: [1, 1], data: Uint16Array.of(0) }],
      ['is', { dtype: 'bool', shape: [1], data: Uint8Array.of(1) }],
      ['count', { dtype: 'uint32', shape: [1], data: Uint32Array.of(1) }],
    ]),
    [{ file: 'x.npy', index: 4 }],
  ],
];

async function write(
  name: string,
  options: Partial<WriterOptions> = {},
  batches = BATCHES,
): Promise<readonly string[]> {
  await using writer = await openWriter(join(directory, name), {
    totalRows: 3,
    origin: { provenance: PROVENANCE, entries: batches.flatMap(([, entries]) => entries) },
    ...options,
  });
  for (const [batch, entries] of batches) await writer.write(batch, entries.length, entries);
  await writer.finish();
  return writer.warnings;
}

const text = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
async function parquet(name: string): Promise<ArrayBuffer> {
  const bytes = await readFile(join(directory, name));
  return Uint8Array.from(bytes).buffer;
}

test('.jsonl has an object an entry, whose numbers read back as the same float32', async () => {
  expect(await write('x.jsonl')).toEqual([]);
  const lines = (await text('x.jsonl')).trimEnd().split('\n');
  expect(lines[0]).toBe(
    '{"file":"a.png","index":0,"v":[0.1,-0,1.401298e-45],"map":[[1],[2]],"n":4611686018427387905,"label":"a \\"quoted\\", one\\n","half":[1],"is":false,"count":4294967295}',
  );
  const rows = lines.map((line): { v: number[]; label: string; file: string; index: number } => JSON.parse(line));
  expect(rows.map(({ v }) => [...Float32Array.from(v)])).toEqual(
    [0, 3].map((at) => [...(BATCHES[0][0].get('v')?.data ?? [])].slice(at, at + 3)).concat([[1, 2, 3]]),
  );
  expect(rows.map(({ file, index, label }) => [file, index, label])).toEqual([
    ['a.png', 0, 'a "quoted", one\n'],
    ['b, "c".png', 0, 'ü𝄞'],
    ['x.npy', 4, ''],
  ]);
});

test('.csv has a line an entry, lists as JSON', async () => {
  await write('x.csv');
  expect((await text('x.csv')).split('\n').slice(0, 4)).toEqual([
    'file,index,v,map,n,label,half,is,count',
    'a.png,0,"[0.1,-0,1.401298e-45]","[[1],[2]]",4611686018427387905,"a ""quoted"", one',
    '",[1],false,4294967295',
    '"b, ""c"".png",0,"[3.4028235e+38,16777216,0.33333334]","[[3],[4]]",-1,ü𝄞,[0.099975586],true,0',
  ]);
});

test('.csv holds no formula: names of files, of features, and labels', async () => {
  const labels: TensorValue = { dtype: 'string', shape: [2], data: ['@SUM(A1)', 'plain'] };
  const batch = new Map<string, TensorValue>([['=cmd|x', labels]]);
  const entries = [
    { file: '=1+1.png', index: 0 },
    { file: 'a.png', index: 0 },
  ];
  await write('x.csv', { totalRows: 2 }, [[batch, entries]]);
  expect((await text('x.csv')).split('\n')).toEqual([
    "file,index,'=cmd|x",
    "'=1+1.png,0,'@SUM(A1)",
    'a.png,0,plain',
    '',
  ]);
});

test('.parquet keeps types, lists and provenance, in groups that a second decoder reads', async () => {
  await write('x.parquet');
  const file = await parquet('x.parquet');
  const rows = await parquetReadObjects({ file });
  expect(rows).toHaveLength(3);
  expect(rows[0]).toEqual({
    file: 'a.png',
    index: 0,
    v: [Math.fround(0.1), -0, Math.fround(1e-45)],
    map: [[1], [2]],
    n: 2n ** 62n + 1n,
    label: 'a "quoted", one\n',
    half: [1],
    is: false,
    count: 4294967295,
  });
  expect(rows.map(({ file: name, index, label }) => [name, index, label])[2]).toEqual(['x.npy', 4, '']);
  const { key_value_metadata: said = [], created_by: by } = parquetMetadata(file);
  expect(said.map(({ key }) => key)).toEqual(['featx']);
  expect(JSON.parse(said[0].value ?? '')).toEqual({ ...PROVENANCE, entries: 3 });
  expect(by).toMatch(/^featx /);
});

test('.parquet of many entries has several groups, and two runs write the same bytes', async () => {
  const rows = 2500;
  const batches = Array.from({ length: 5 }, (_, at): (typeof BATCHES)[number] => [
    new Map([['v', float([500, 2], ...Array.from({ length: 1000 }, (_value, index) => at * 1000 + index))]]),
    Array.from({ length: 500 }, (_entry, index) => ({ file: `${at * 500 + index}.png`, index: 0 })),
  ]);
  for (const name of ['a.parquet', 'b.parquet']) await write(name, { totalRows: rows }, batches);
  const file = await parquet('a.parquet');
  expect(toJson(parquetMetadata(file).row_groups.map(({ num_rows: count }) => Number(count)))).toEqual([
    1000, 1000, 500,
  ]);
  const read = await parquetReadObjects({ file });
  expect(read.map(({ v }) => v)).toEqual(Array.from({ length: rows }, (_, at) => [at * 2, at * 2 + 1]));
  expect(await readFile(join(directory, 'b.parquet'))).toEqual(await readFile(join(directory, 'a.parquet')));
});

test('.parquet has lists of any length inside each other, none among them, and types of any width', async () => {
  const ways = [
    [2, 3, 5],
    [1, 20, 2],
    [3, 0, 2],
    [0, 4, 1],
    [2, 2, 0],
    [9, 1, 1],
  ];
  const sources: [string, (count: number) => TensorValue['data']][] = [
    ['float64', (count) => Float64Array.from({ length: count }, (_value, at) => at / 3)],
    ['int8', (count) => Int8Array.from({ length: count }, (_value, at) => -at)],
    ['uint16', (count) => Uint16Array.from({ length: count }, (_value, at) => 65535 - at)],
    ['uint64', (count) => BigUint64Array.from({ length: count }, (_value, at) => 2n ** 64n - 1n - BigInt(at))],
    ['bool', (count) => Uint8Array.from({ length: count }, (_value, at) => (at % 3 === 0 ? 1 : 0))],
    ['string', (count) => Array.from({ length: count }, (_value, at) => `ü${at}`)],
  ];
  const batches = ways.map((shape, at): (typeof BATCHES)[number] => [
    new Map(
      sources.map(([dtype, make]) => [
        dtype,
        { dtype, shape: [1, ...shape], data: make(shape.reduce((product, size) => product * size, 1)) },
      ]),
    ),
    [{ file: at === 2 ? null : `${at}.txt`, index: at }],
  ]);
  await write('x.parquet', { totalRows: ways.length }, batches);
  const rows = await parquetReadObjects({ file: await parquet('x.parquet') });
  const nested = (values: ArrayLike<unknown>, [size, ...rest]: readonly number[], from = 0): unknown =>
    size === undefined
      ? values[from]
      : Array.from({ length: size }, (_value, at) =>
          nested(values, rest, from + at * rest.reduce((product, each) => product * each, 1)),
        );
  expect(rows).toEqual(
    batches.map(([batch, [entry]], at) => ({
      ...entry,
      ...Object.fromEntries(
        [...batch].map(([name, { dtype, data }]) => [
          name,
          nested(dtype === 'bool' ? Array.from(data as Uint8Array, Boolean) : data, ways[at]),
        ]),
      ),
    })),
  );
});

const ODD = new Map([['v', float([1, 3], Number.NaN, Number.POSITIVE_INFINITY, 1)]]);
test.each([
  ['x.jsonl', ['2 values are not a number or infinite and stand as null in']],
  ['x.csv', ['2 values are not a number or infinite and stand as null in']],
  ['x.parquet', []],
])('%s says what it cannot keep', async (name, expected) => {
  const warnings = await write(name, { totalRows: 1 }, [[ODD, [{ file: null, index: 0 }]]]);
  expect(warnings.map((warning) => warning.slice(0, expected[0]?.length))).toEqual(expected);
  if (name.endsWith('.parquet'))
    expect((await parquetReadObjects({ file: await parquet(name) }))[0]['v']).toEqual([Number.NaN, Infinity, 1]);
  else expect(await text(name)).toContain('[null,null,1]');
});

test.each(['x.jsonl', 'x.csv', 'x.parquet'])('%s appears whole or not at all', async (name) => {
  await expect(write(name, {}, [BATCHES[0]])).rejects.toThrow('2 of the 3 entries announced came');
  const apart = new Map([['v', float([3], 1, 2, 3)]]);
  const entries = BATCHES[0][1];
  await expect(write(name, { totalRows: 2 }, [[apart, entries]])).rejects.toThrow('no row for each');
  expect(await readdir(directory)).toEqual([]);
});

test('rows go to a stream as they come', async () => {
  const chunks: string[] = [];
  await using writer = await openWriter('-', {
    totalRows: 3,
    write: async (bytes) => void chunks.push(new TextDecoder().decode(bytes)),
  });
  for (const [batch, entries] of BATCHES) await writer.write(batch, entries.length, entries);
  await writer.finish();
  expect(chunks.join('').split('\n')).toHaveLength(4);
});

describe('arrays', () => {
  const numbers = BATCHES.map(([batch, entries]): (typeof BATCHES)[number] => [
    new Map([...batch].filter(([, { dtype }]) => dtype !== 'string')),
    entries,
  ]);

  test.each(['x.npz', 'x.npy'])('%s keeps labels', async (name) => {
    const labels = BATCHES.map(([batch, entries]): (typeof BATCHES)[number] => [
      new Map([...batch].filter(([, { dtype }]) => dtype === 'string')),
      entries,
    ]);
    await write(name, {}, labels);
    const read = await readTensors(join(directory, name));
    expect([...read.values()]).toEqual([{ dtype: 'string', shape: [3], data: ['a "quoted", one\n', 'ü𝄞', ''] }]);
  });

  test.each([
    ['x.npz', (bytes: Buffer): string => bytes.subarray(bytes.lastIndexOf('PK\x05\x06') + 22).toString()],
    [
      'x.safetensors',
      (bytes: Buffer): string =>
        JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString()).__metadata__.featx,
    ],
  ])('%s says what made it and where each entry came from', async (name, said) => {
    await write(name, {}, numbers);
    expect(JSON.parse(said(await readFile(join(directory, name))))).toEqual({
      ...PROVENANCE,
      entries: 3,
      files: ['a.png', 'b, "c".png', 'x.npy'],
      indices: [0, 0, 4],
    });
    expect([...(await readTensors(join(directory, name))).keys()].sort()).toEqual([...numbers[0][0].keys()].sort());
  });

  test('names that do not fit into an archive are left out with a warning, and nothing else', async () => {
    const rows = 5000;
    const entries = Array.from({ length: rows }, (_, at) => ({ file: `pictures/${at}.png`, index: 0 }));
    const data = Float32Array.from({ length: rows });
    const batch: (typeof BATCHES)[number] = [new Map([['v', { dtype: 'float32', shape: [rows, 1], data }]]), entries];
    const [warning] = await write('x.npz', { totalRows: rows }, [batch]);
    expect(warning).toMatch(/^the names of 5000 entries do not fit into .*x\.npz: \.safetensors, /);
    const bytes = await readFile(join(directory, 'x.npz'));
    const said: unknown = JSON.parse(bytes.subarray(bytes.lastIndexOf('PK\x05\x06') + 22).toString());
    expect(said).toEqual({ ...PROVENANCE, entries: rows });
  });
});
