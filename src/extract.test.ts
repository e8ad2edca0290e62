import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { execPath } from 'node:process';
import { promisify } from 'node:util';
import { FeatxError } from './errors.js';
import { extract, type ExtractOptions } from './extract.js';
import { inspect } from './inspect.js';
import { REFERENCE_KEY } from './onnx/fingerprint.js';
import { openModel } from './open.js';
import type { ExtractReport } from './report/records.js';
import { decodeModel } from './testing/decode.js';
import { faultyFileSystem } from './testing/faulty-fs.js';
import { encodeModel } from './testing/model-builder.js';
import { node, value, weights, type ModelSpec } from './testing/model-spec.js';
import { feedsFor, runFile, type Outputs } from './testing/ort.js';
import { join as joined, tag, varint } from './testing/wire-writer.js';

let folder: string;
const at = (...names: readonly string[]): string => join(folder, ...names);

beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'featx-extract-'))));
afterEach(() => rm(folder, { recursive: true }));

const v = (name: string): ReturnType<typeof value> => value(name, [20, 20]);

/** `x` -> `t` -> `u` -> `y`, 1,600 bytes of weights each, every type declared. */
const CHAIN: ModelSpec = {
  irVersion: 9,
  graph: {
    nodes: [node('Add', ['x', 'w0'], ['t']), node('Mul', ['t', 'w1'], ['u']), node('Add', ['u', 'w2'], ['y'])],
    initializers: [0, 1, 2].map((index) => weights(`w${index}`, [20, 20], index + 1)),
    inputs: [v('x')],
    outputs: [v('y')],
    valueInfo: [v('t'), v('u')],
  },
  metadata: [['author', 'somebody']],
};

/** The same with its weights in `w.bin`. */
const EXTERNAL: ModelSpec = {
  ...CHAIN,
  graph: {
    ...CHAIN.graph,
    initializers: [0, 1, 2].map((index) => ({
      name: `w${index}`,
      dims: [20, 20],
      external: [
        ['location', 'w.bin'],
        ['offset', String(1600 * index)],
        ['length', '1600'],
      ],
    })),
  },
};
const SIDECAR = new Uint8Array(Float32Array.from({ length: 1200 }, (_, index) => Math.sin(index)).buffer);

const U: Partial<ExtractOptions> = { select: [{ by: 'tensor', name: 'u' }], isolate: false };

async function chain(name = 'model.onnx'): Promise<string> {
  await writeFile(at(name), encodeModel(CHAIN));
  return at(name);
}

async function external(): Promise<string> {
  await writeFile(at('model.onnx'), encodeModel(EXTERNAL));
  await writeFile(at('w.bin'), SIDECAR);
  return at('model.onnx');
}

async function run(path: string): Promise<Outputs> {
  await using model = await openModel(path);
  return runFile(path, feedsFor(model));
}

/** `u` as the whole model computes it. */
async function wanted(path: string): Promise<Uint8Array | undefined> {
  const hooked = `${path}.hooked.onnx`;
  await extract(path, hooked, { ...U, mode: 'hook' });
  const value_ = (await run(hooked)).get('u');
  await rm(hooked);
  return value_;
}

async function metadataOf(path: string): Promise<ReadonlyMap<string, string>> {
  await using model = await openModel(path);
  return new Map(
    await Promise.all(model.metadata.map(async ({ key, value: range }) => [key, await model.text(range)] as const)),
  );
}

async function failure(cut: Promise<ExtractReport>): Promise<FeatxError> {
  const error: unknown = await cut.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(FeatxError);
  return error as FeatxError;
}

describe('a cut', () => {
  const resnet = 'fixtures/timm/test_resnet.ts.onnx';

  test.each([
    ['dict', {}, ['1', '2', '3']],
    [
      'list',
      { mode: 'list' },
      [
        '/layer1/layer1.0/act2/Relu_output_0',
        '/layer2/layer2.0/act2/Relu_output_0',
        '/layer3/layer3.0/act3/Relu_output_0',
      ],
    ],
    ['hook', { mode: 'hook', outMap: ['p2', 'p3', 'p4'] }, ['output', 'p2', 'p3', 'p4']],
  ] as const)('in %s mode says what it is and writes the same bytes twice', async (_mode, options, outputs) => {
    await copyFile(resnet, at('resnet.onnx'));
    const report = await extract(at('resnet.onnx'), null, { out: [1, 2, 3], isolate: false, ...options });
    const bytes = await readFile(at('resnet.features.onnx'));
    expect(report).toMatchObject({
      schema: 1,
      command: 'extract',
      input: at('resnet.onnx'),
      output: at('resnet.features.onnx'),
      weights: 'keep',
      size_bytes: bytes.length,
      verified: null,
      warnings: [],
    });
    expect(decodeModel(bytes).graph?.output?.map(({ name }) => name)).toEqual(outputs);
    expect(report.features.map(({ index }) => index)).toEqual([1, 2, 3]);
    expect(report.features.map(({ num_chs: channels, reduction }) => [channels, reduction])).toEqual(
      [
        [32, 4],
        [48, 8],
        [48, 16],
      ].map((pair, index) => [report.features[index].num_chs ?? pair[0], pair[1]]),
    );
    const again = await extract(at('resnet.onnx'), at('again.onnx'), { out: [1, 2, 3], isolate: false, ...options });
    expect((await readFile(at('again.onnx'))).equals(bytes)).toBe(true);
    expect(again.size_bytes).toBe(report.size_bytes);
    await using model = await openModel(at('resnet.onnx'));
    expect(report.kept.nodes + report.dropped.nodes).toBe(model.graph.nodes.length);
    expect(report.bytes_copied).toBeLessThanOrEqual(report.size_bytes);
  });

  test('remembers the whole FeatureInfo, and another cut of it keeps the indices', async () => {
    await copyFile(resnet, at('resnet.onnx'));
    await extract(at('resnet.onnx'), at('a.onnx'), { out: [1, 3], isolate: false });
    const stored = JSON.parse((await metadataOf(at('a.onnx'))).get('featx.feature_info') ?? '') as {
      feature_info: { index: number; tensor: string | null }[];
      out_indices: number[];
      outputs: { output: string }[];
    };
    expect(stored.out_indices).toEqual([1, 3]);
    expect(stored.outputs.map(({ output }) => output)).toEqual(['1', '3']);
    expect(stored.feature_info.map(({ index, tensor }) => [index, tensor !== null])).toEqual(
      stored.feature_info.map((_entry, index) => [index, index <= 3]),
    );
    const second = await extract(at('a.onnx'), at('b.onnx'), { out: [1], isolate: false });
    expect(second.features.map(({ index, output }) => [index, output])).toEqual([[1, '1']]);
    const [first, again] = [await run(at('a.onnx')), await run(at('b.onnx'))];
    expect(again.get('1')).toEqual(first.get('1'));
    const metadata = decodeModel(await readFile(at('b.onnx'))).metadataProps?.map(({ key }) => key);
    expect(metadata?.filter((key) => key === 'featx.feature_info')).toHaveLength(1);
  });

  test('keeps what the model says of itself', async () => {
    await extract(await chain(), at('cut.onnx'), U);
    expect(await metadataOf(at('cut.onnx'))).toEqual(
      new Map([
        ['author', 'somebody'],
        ['featx.feature_info', expect.any(String)],
      ]),
    );
    expect((await run(at('cut.onnx'))).get('u')).toEqual(await wanted(at('model.onnx')));
  });

  test('from bytes is the cut of the file', async () => {
    const path = await chain();
    await extract(path, at('a.onnx'), U);
    const report = await extract(await readFile(path), at('b.onnx'), { ...U, name: '<stdin>' });
    expect(report.input).toBe('<stdin>');
    expect((await readFile(at('b.onnx'))).equals(await readFile(at('a.onnx')))).toBe(true);
    expect(await failure(extract(await readFile(path), null, U))).toMatchObject({ code: 'FEATX_USAGE_OUTPUT' });
    expect((await extract(await readFile(path), null, { ...U, dryRun: true })).output).toBeNull();
  });

  test('goes to a writer of bytes too', async () => {
    const path = await chain();
    await extract(path, at('a.onnx'), U);
    const parts: Uint8Array[] = [];
    const progress: number[] = [];
    const report = await extract(path, null, {
      ...U,
      write: async (bytes) => void parts.push(bytes),
      onProgress: (done) => progress.push(done),
    });
    expect(Buffer.concat(parts).equals(await readFile(at('a.onnx')))).toBe(true);
    expect([report.output, progress.at(-1)]).toEqual(['-', report.size_bytes]);
    for (const mode of ['external', 'reference'] as const)
      expect(await failure(extract(path, null, { ...U, weights: mode, write: async () => undefined }))).toMatchObject({
        name: 'UsageError',
        code: 'FEATX_USAGE_OUTPUT',
      });
  });

  test('of external weights goes to a writer only with the weights inside', async () => {
    const path = await external();
    expect(await failure(extract(path, null, { ...U, write: async () => undefined }))).toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_OUTPUT',
      hint: expect.stringContaining("`weights: 'embed'`"),
    });
    const parts: Uint8Array[] = [];
    await extract(path, null, { ...U, weights: 'embed', write: async (bytes) => void parts.push(bytes) });
    const want = await wanted(path);
    await rm(at('w.bin'));
    await writeFile(at('embedded.onnx'), Buffer.concat(parts));
    expect((await run(at('embedded.onnx'))).get('u')).toEqual(want);
  });

  test.each(['keep', 'external', 'reference', 'embed'] as const)(
    'that is only planned writes nothing and tells the truth (%s)',
    async (mode) => {
      const path = await chain();
      const dry = await extract(path, at('cut.onnx'), { ...U, weights: mode, dryRun: true });
      expect(await readdir(folder)).toEqual(['model.onnx']);
      expect(JSON.parse(JSON.stringify(dry.plan))).toEqual(dry.plan);
      const wet = await extract(path, at('cut.onnx'), { ...U, weights: mode });
      expect([dry.size_bytes, dry.sidecar?.size_bytes, dry.kept, dry.dropped, dry.bytes_copied]).toEqual([
        wet.size_bytes,
        wet.sidecar?.size_bytes,
        wet.kept,
        wet.dropped,
        wet.bytes_copied,
      ]);
    },
  );

  test('with warnings is refused where asked', async () => {
    const unsorted = { ...CHAIN, graph: { ...CHAIN.graph, nodes: [...(CHAIN.graph.nodes ?? [])].reverse() } };
    await writeFile(at('model.onnx'), encodeModel(unsorted));
    expect((await extract(at('model.onnx'), at('cut.onnx'), U)).warnings).toEqual([
      'the nodes of this model are not in topological order; their order is kept',
    ]);
    await rm(at('cut.onnx'));
    expect(await failure(extract(at('model.onnx'), at('cut.onnx'), { ...U, strict: true }))).toMatchObject({
      code: 'FEATX_STRICT',
    });
    expect(await readdir(folder)).toEqual(['model.onnx']);
  });

  test('prunes in dict and list mode, whatever --rewrite says of hooks', async () => {
    const path = await chain();
    for (const rewrite of [true, false])
      expect(await failure(extract(path, at('cut.onnx'), { ...U, rewrite }))).toMatchObject({
        name: 'UsageError',
        code: 'FEATX_USAGE_MODE',
      });
    expect((await extract(path, at('cut.onnx'), { ...U, mode: 'hook', rewrite: true })).dropped.nodes).toBe(1);
    expect((await extract(path, at('cut.onnx'), { ...U, mode: 'hook', rewrite: false })).dropped.nodes).toBe(0);
    expect(
      (await extract(path, at('cut.onnx'), { ...U, mode: 'list', order: 'exec', keepOutputs: true })).kept.nodes,
    ).toBe(3);
  });

  test('is verified before it appears', async () => {
    const path = await chain();
    let seen = '';
    const verifyFile: ExtractOptions['verifyFile'] = async (temporary) => (await run((seen = temporary))).has('u');
    expect((await extract(path, at('cut.onnx'), { ...U, weights: 'external', verifyFile })).verified).toBe(true);
    expect(dirname(seen)).toBe(folder);
    await rm(at('cut.onnx'));
    for (const name of await readdir(folder)) if (name.endsWith('.data')) await rm(at(name));
    expect(
      await failure(extract(path, at('cut.onnx'), { ...U, weights: 'external', verifyFile: async () => false })),
    ).toMatchObject({ code: 'FEATX_VERIFY' });
    await expect(
      extract(path, at('cut.onnx'), {
        ...U,
        weights: 'external',
        verifyFile: () => Promise.reject(new Error('crashed')),
      }),
    ).rejects.toThrow('crashed');
    expect(await readdir(folder)).toEqual(['model.onnx']);
  });
});

describe('a sidecar', () => {
  test('is named after its content', async () => {
    const path = await chain();
    const want = await wanted(path);
    const report = await extract(path, at('cut.onnx'), { ...U, weights: 'external' });
    const sidecar = report.sidecar?.path ?? '';
    const bytes = await readFile(sidecar);
    expect(basename(sidecar)).toBe(`cut.onnx.${createHash('sha256').update(bytes).digest('hex').slice(0, 8)}.data`);
    expect([report.sidecar?.size_bytes, bytes.length]).toEqual([4096 + 1600, 4096 + 1600]);
    const model = await readFile(at('cut.onnx'));
    await extract(path, at('cut.onnx'), { ...U, weights: 'external' });
    expect((await readdir(folder)).sort()).toEqual(['cut.onnx', basename(sidecar), 'model.onnx'].sort());
    expect((await readFile(at('cut.onnx'))).equals(model)).toBe(true);
    await rm(path);
    expect((await run(at('cut.onnx'))).get('u')).toEqual(want);
  });

  test('takes only the slices that a cut elsewhere needs, and needs not exist for a cut beside the model', async () => {
    const path = await external();
    const want = await wanted(path);
    await mkdir(at('elsewhere'));
    const moved = await extract(path, at('elsewhere', 'cut.onnx'), { ...U, align: 64 });
    expect(moved.sidecar?.size_bytes).toBe(3200);
    await rm(at('w.bin'));
    expect((await run(at('elsewhere', 'cut.onnx'))).get('u')).toEqual(want);
    const beside = await extract(path, at('cut.onnx'), U);
    expect(beside.sidecar).toBeUndefined();
    expect(await failure(extract(path, at('elsewhere', 'cut.onnx'), U))).toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_NOT_FOUND',
      message: expect.stringContaining('graph.initializer[0]'),
    });
    await writeFile(at('w.bin'), SIDECAR);
    expect((await run(at('cut.onnx'))).get('u')).toEqual(want);
  });

  test('of a model that is a link into a cache is copied, for the cut could not follow it', async () => {
    await mkdir(at('blobs'));
    await mkdir(at('snapshot'));
    await writeFile(at('blobs', 'aaa'), encodeModel(EXTERNAL));
    await writeFile(at('blobs', 'bbb'), SIDECAR);
    await symlink('../blobs/aaa', at('snapshot', 'model.onnx'));
    await symlink('../blobs/bbb', at('snapshot', 'w.bin'));
    const report = await extract(at('snapshot', 'model.onnx'), null, U);
    expect(report.sidecar?.size_bytes).toBeGreaterThan(0);
    expect((await run(at('snapshot', 'model.features.onnx'))).has('u')).toBe(true);
    await rm(at('snapshot', 'w.bin'));
    await writeFile(at('snapshot', 'w.bin'), SIDECAR);
    expect((await extract(at('snapshot', 'model.onnx'), null, U)).sidecar).toBeUndefined();
    await rm(at('snapshot', 'w.bin'));
    expect((await extract(at('snapshot', 'model.onnx'), null, U)).sidecar).toBeUndefined();
  });

  test('that the model uses is never replaced, in place neither', async () => {
    const path = await external();
    for (const inPlace of [false, true])
      expect(await failure(extract(path, at('w.bin'), { ...U, inPlace }))).toMatchObject({
        name: 'UsageError',
        code: 'FEATX_USAGE_SAME_FILE',
      });
    expect((await readFile(at('w.bin'))).equals(Buffer.from(SIDECAR))).toBe(true);
  });
});

describe('in place', () => {
  test('only where asked', async () => {
    const path = await chain();
    const want = await wanted(path);
    expect(await failure(extract(path, path, U))).toMatchObject({ name: 'UsageError', code: 'FEATX_USAGE_SAME_FILE' });
    await extract(path, path, { ...U, inPlace: true });
    expect((await run(path)).get('u')).toEqual(want);
    expect(await readdir(folder)).toEqual(['model.onnx']);
  });

  test('with external weights', async () => {
    const path = await external();
    const want = await wanted(path);
    await extract(path, path, { ...U, inPlace: true });
    expect((await run(path)).get('u')).toEqual(want);
  });

  test('never for a reference: it would point into itself', async () => {
    const path = await chain();
    const before = await readFile(path);
    expect(await failure(extract(path, path, { ...U, weights: 'reference', inPlace: true }))).toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_REFERENCE',
    });
    expect((await readFile(path)).equals(before)).toBe(true);
  });
});

describe('a reference cut', () => {
  const record = async (path: string): Promise<{ file: string; size_bytes: number }> =>
    JSON.parse((await metadataOf(path)).get(REFERENCE_KEY) ?? 'null') as { file: string; size_bytes: number };

  test('is small, computes the same, and names its original', async () => {
    const path = await chain();
    const report = await extract(path, at('cut.onnx'), { ...U, weights: 'reference' });
    expect(report.size_bytes).toBeLessThan(2048);
    expect((await run(at('cut.onnx'))).get('u')).toEqual(await wanted(path));
    expect(await record(at('cut.onnx'))).toMatchObject({
      schema: 1,
      file: 'model.onnx',
      size_bytes: (await readFile(path)).length,
    });
    const bytes = await readFile(at('cut.onnx'));
    await extract(path, at('cut.onnx'), { ...U, weights: 'reference' });
    expect((await readFile(at('cut.onnx'))).equals(bytes)).toBe(true);
  });

  test('is not made in another directory, nor of a link into another directory', async () => {
    const path = await chain();
    await mkdir(at('elsewhere'));
    expect(await failure(extract(path, at('elsewhere', 'cut.onnx'), { ...U, weights: 'reference' }))).toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_REFERENCE',
    });
    await symlink('../model.onnx', at('elsewhere', 'link.onnx'));
    expect(await failure(extract(at('elsewhere', 'link.onnx'), null, { ...U, weights: 'reference' }))).toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_REFERENCE',
    });
    expect(await failure(extract(await readFile(path), at('cut.onnx'), { ...U, weights: 'reference' }))).toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_REFERENCE',
    });
  });

  test('of a link beside the model points into the model itself', async () => {
    await chain();
    await symlink('model.onnx', at('link.onnx'));
    await extract(at('link.onnx'), at('cut.onnx'), { ...U, weights: 'reference' });
    expect((await record(at('cut.onnx'))).file).toBe('model.onnx');
    await rm(at('link.onnx'));
    expect((await run(at('cut.onnx'))).has('u')).toBe(true);
  });

  test('of external weights is not made', async () => {
    expect(await failure(extract(await external(), at('cut.onnx'), { ...U, weights: 'reference' }))).toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_REFERENCE',
      hint: expect.stringContaining("`weights: 'keep'`"),
    });
  });

  test('without large weights points nowhere and watches nothing', async () => {
    const path = await chain();
    await extract(path, at('cut.onnx'), { ...U, select: [{ by: 'tensor', name: 'x' }], weights: 'reference' });
    expect(await record(at('cut.onnx'))).toBeNull();
  });

  /** Where the values of `w0` stand in the model. */
  async function payload(path: string): Promise<number> {
    await using model = await openModel(path);
    return model.graph.initializers[0].payloads[0].start;
  }

  test.each([
    ['grows', async (path: string) => writeFile(path, Buffer.concat([await readFile(path), Buffer.from([0x32, 0])]))],
    ['shrinks', async (path: string) => writeFile(path, (await readFile(path)).subarray(0, -3))],
    [
      'says something else',
      async (path: string) =>
        writeFile(
          path,
          Buffer.from((await readFile(path)).toString('latin1').replace('somebody', 'Somebody'), 'latin1'),
        ),
    ],
    [
      'has other weights in a block that is sampled',
      async (path: string) => {
        const bytes = await readFile(path);
        bytes[(await payload(path)) + 800] ^= 1;
        await writeFile(path, bytes);
      },
    ],
    [
      'is another file',
      async (path: string) =>
        writeFile(
          path,
          encodeModel({
            ...CHAIN,
            graph: {
              ...CHAIN.graph,
              initializers: [5, 6, 7].map((seed, index) => weights(`w${index}`, [20, 20], seed)),
            },
          }),
        ),
    ],
    ['is no model any more', async (path: string) => writeFile(path, Buffer.alloc((await readFile(path)).length, 7))],
  ])('is refused once its original %s', async (_what, change) => {
    const path = await chain();
    await extract(path, at('cut.onnx'), { ...U, weights: 'reference' });
    await inspect(at('cut.onnx'), { isolate: false });
    await change(path);
    for (const use of [
      () => extract(at('cut.onnx'), at('again.onnx'), U),
      () => inspect(at('cut.onnx'), { isolate: false }),
    ]) {
      const error: unknown = await use().catch((caught: unknown) => caught);
      expect(error).toMatchObject({
        name: 'PolicyError',
        code: 'FEATX_REFERENCE_CHANGED',
        message: expect.stringMatching(/cut\.onnx points into model\.onnx, which has changed/),
      });
    }
  });

  test('is refused where its original is missing, or its record cannot be read', async () => {
    const path = await chain();
    await extract(path, at('cut.onnx'), { ...U, weights: 'reference' });
    await rm(path);
    expect(await failure(extract(at('cut.onnx'), at('again.onnx'), U))).toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_NOT_FOUND',
    });
    for (const text of ['{', '{}', 'null', '{"schema":2}', '{"schema":1,"file":7}']) {
      await writeFile(at('odd.onnx'), encodeModel({ ...CHAIN, metadata: [[REFERENCE_KEY, text]] }));
      expect(await failure(extract(at('odd.onnx'), at('again.onnx'), U))).toMatchObject({
        name: 'PolicyError',
        code: 'FEATX_REFERENCE',
      });
    }
    for (const file of ['../model.onnx', '/etc/hostname', '', '*/_ORT_MEM_ADDR_/*']) {
      await writeFile(
        at('odd.onnx'),
        encodeModel({
          ...CHAIN,
          metadata: [[REFERENCE_KEY, JSON.stringify({ schema: 1, file, size_bytes: 1, sha256: '' })]],
        }),
      );
      expect(await failure(extract(at('odd.onnx'), at('again.onnx'), U))).toMatchObject({
        name: 'PolicyError',
        code: 'FEATX_EXTERNAL_LOCATION',
      });
    }
  });

  test('cut again beside its original still watches it, elsewhere and embedded no more', async () => {
    const path = await chain();
    const want = await wanted(path);
    await extract(path, at('cut.onnx'), { ...U, mode: 'hook', weights: 'reference' });
    await mkdir(at('elsewhere'));
    await extract(at('cut.onnx'), at('kept.onnx'), U);
    expect((await record(at('kept.onnx'))).file).toBe('model.onnx');
    expect(await failure(extract(at('cut.onnx'), at('twice.onnx'), { ...U, weights: 'reference' }))).toMatchObject({
      name: 'UsageError',
      code: 'FEATX_USAGE_REFERENCE',
    });
    const free: readonly (readonly [string, ExtractOptions])[] = [
      [at('elsewhere', 'kept.onnx'), U],
      [at('embedded.onnx'), { ...U, weights: 'embed' }],
      [at('moved.onnx'), { ...U, weights: 'external' }],
    ];
    for (const [target, options] of free) await extract(at('cut.onnx'), target, options);
    await rm(path);
    for (const [target] of free) {
      expect(await record(target)).toBeNull();
      expect((await run(target)).get('u')).toEqual(want);
      await inspect(target, { isolate: false });
    }
  });

  test('never replaces the original it points into', async () => {
    const path = await chain();
    await extract(path, at('cut.onnx'), { ...U, weights: 'reference' });
    for (const inPlace of [false, true])
      expect(await failure(extract(at('cut.onnx'), path, { ...U, inPlace }))).toMatchObject({
        code: 'FEATX_USAGE_SAME_FILE',
      });
  });
});

describe('whatever fails', () => {
  test.each(['keep', 'external', 'reference'] as const)(
    'the output is old or new, and nothing else is there (%s)',
    async (mode) => {
      const path = await chain();
      const old = Buffer.from('what was there');
      await extract(path, at('cut.onnx'), { ...U, weights: mode });
      const done = await readFile(at('cut.onnx'));
      const names = await readdir(folder);
      const sidecar = names.filter((name) => name.endsWith('.data'));
      for (const fault of ['EIO', 'ENOSPC'] as const) {
        for (let n = 1; ; n++) {
          for (const name of sidecar) await rm(at(name), { force: true });
          await writeFile(at('cut.onnx'), old);
          const { fileSystem, calls } = faultyFileSystem(n, fault);
          const error: unknown = await extract(path, at('cut.onnx'), { ...U, weights: mode, fileSystem }).catch(
            (caught: unknown) => caught,
          );
          if (calls.length < n) break;
          const now = await readFile(at('cut.onnx'));
          const call = calls.find((each) => each.endsWith('!'));
          if (error instanceof FeatxError)
            expect({ call, whole: now.equals(old) || now.equals(done) }).toEqual({ call, whole: true });
          else
            expect({ call, error, whole: now.equals(done) }).toEqual({
              call,
              error: expect.objectContaining({ command: 'extract' }),
              whole: true,
            });
          const left = (await readdir(folder)).filter((name) => name !== 'model.onnx' && name !== 'cut.onnx');
          // Behind the rename of the sidecar alone (its directory could not be synced) the data file stays: whole, and
          // named after its content.
          expect({ call, left: left.filter((name) => !sidecar.includes(name)) }).toEqual({ call, left: [] });
        }
      }
    },
  );
});

describe('limits', () => {
  /** A model whose one tensor takes more than protobuf can hold, in a file without blocks. */
  async function huge(size: number): Promise<string> {
    const bytes = (number: number, content: Uint8Array): Uint8Array =>
      joined(tag(number, 2), varint(content.length), content);
    const text = (number: number, content: string): Uint8Array => bytes(number, new TextEncoder().encode(content));
    const small = encodeModel({ irVersion: 9, graph: { nodes: [] } });
    const info = (name: string, dims: readonly number[]): Uint8Array =>
      joined(
        text(1, name),
        bytes(
          2,
          bytes(
            1,
            joined(
              tag(1, 0),
              varint(1),
              bytes(2, joined(...dims.map((dim) => bytes(1, joined(tag(1, 0), varint(dim)))))),
            ),
          ),
        ),
      );
    const head = joined(tag(1, 0), varint(size / 4), tag(2, 0), varint(1), text(8, 'w'), tag(9, 2), varint(size));
    const initializer = joined(tag(5, 2), varint(head.length + size), head);
    const graph = joined(
      text(2, 'g'),
      bytes(1, joined(text(1, 'w'), text(2, 'y'), text(4, 'Relu'))),
      bytes(12, info('y', [size / 4])),
      initializer,
    );
    const opset = bytes(8, joined(tag(2, 0), varint(17)));
    const prefix = joined(tag(1, 0), varint(9), opset, tag(7, 2), varint(graph.length + size), graph);
    expect(small.length).toBeGreaterThan(0);
    const file = await open(at('huge.onnx'), 'w');
    await file.write(prefix);
    await file.truncate(prefix.length + size);
    await file.close();
    return at('huge.onnx');
  }

  test('a result above 2^31-1 bytes is refused before it is written, with the remedy', async () => {
    const path = await huge(2 ** 31 + 4096);
    const y: ExtractOptions = { select: [{ by: 'tensor', name: 'y' }], isolate: false };
    for (const options of [
      y,
      { ...y, dryRun: true },
      { ...y, mode: 'hook', outMap: ['f'] } as const,
      { ...y, weights: 'embed' } as const,
    ]) {
      expect(await failure(extract(path, at('cut.onnx'), options))).toMatchObject({
        name: 'PolicyError',
        code: 'FEATX_LIMIT_MODEL',
        hint: expect.stringContaining("`weights: 'reference'`"),
      });
    }
    expect(await failure(extract(path, null, { ...y, write: async () => undefined }))).toMatchObject({
      code: 'FEATX_LIMIT_MODEL',
    });
    expect(await readdir(folder)).toEqual(['huge.onnx']);
    expect((await extract(path, at('cut.onnx'), { ...y, weights: 'external', dryRun: true })).sidecar?.size_bytes).toBe(
      2 ** 31 + 4096,
    );
    const report = await extract(path, at('cut.onnx'), { ...y, weights: 'reference' });
    expect(report.size_bytes).toBeLessThan(4096);
  });

  test('a missing directory is made', async () => {
    await extract(await chain(), at('missing', 'too', 'cut.onnx'), U);
    expect(await readdir(at('missing', 'too'))).toEqual(['cut.onnx']);
  });

  test('a file in the place of a directory, an existing file, an abort leave everything as it was', async () => {
    const path = await chain();
    expect(await failure(extract(path, at('model.onnx', 'cut.onnx'), U))).toMatchObject({ name: 'IoError' });
    await writeFile(at('cut.onnx'), 'what was there');
    expect(await failure(extract(path, at('cut.onnx'), { ...U, noClobber: true }))).toMatchObject({
      name: 'IoError',
      code: 'FEATX_IO_EXISTS',
    });
    const signal = AbortSignal.abort(new Error('stopped'));
    for (const mode of ['keep', 'external'] as const)
      await expect(extract(path, at('cut.onnx'), { ...U, weights: mode, signal })).rejects.toThrow('stopped');
    await expect(extract(path, null, { ...U, write: async () => undefined, signal })).rejects.toThrow('stopped');
    expect((await readdir(folder)).sort()).toEqual(['cut.onnx', 'model.onnx']);
    expect(await readFile(at('cut.onnx'), 'utf8')).toBe('what was there');
  });
});

test('a run that is killed leaves the old file, and the next one clears up', async () => {
  await copyFile('fixtures/timm/test_resnet.ts.onnx', at('model.onnx'));
  await writeFile(at('cut.onnx'), 'what was there');
  // A process that dies while it writes: its temporary file stays, its target is untouched.
  const script = `const fs = require('node:fs'); const { createHash } = require('node:crypto'); const { hostname } = require('node:os');
    const host = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
    fs.writeFileSync('.featx-' + host + '-' + process.pid + '-0123456789ab.tmp', 'half'); process.kill(process.pid, 'SIGKILL');`;
  await expect(promisify(execFile)(execPath, ['-e', script], { cwd: folder })).rejects.toMatchObject({
    signal: 'SIGKILL',
  });
  expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toHaveLength(1);
  expect(await readFile(at('cut.onnx'), 'utf8')).toBe('what was there');
  await extract(at('model.onnx'), at('cut.onnx'), { out: [1], isolate: false });
  expect((await readdir(folder)).sort()).toEqual(['cut.onnx', 'model.onnx']);
});
