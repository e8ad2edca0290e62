import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  batch,
  encodeArrays,
  extract,
  extractBytes,
  FeatureDictNet,
  FeatureHookNet,
  FeatureListNet,
  init,
  inspect,
  inspectBytes,
  merge,
  openModel,
  readArrays,
  readPictures,
  run,
  writeArrays,
} from './index.js';
import { doctor } from './doctor.js';
import { UsageError } from './errors.js';
import { verify } from './verify.js';

/** What JavaScript lets a program say, and TypeScript does not: every function answers with an error of ours. */

const MODEL = join('fixtures', 'timm', 'test_resnet.ts.onnx');
const folder = mkdtempSync(join(tmpdir(), 'featx-misuse-'));
const OUT = join(folder, 'out.onnx');
const as = <T>(value: unknown): T => value as T;

/** The error of a call that must fail. */
async function errorOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}

describe('options of extract', () => {
  test.each<[object, ...string[]]>([
    [{ mode: 'bogus' }, "`mode` is 'bogus', not one of dict, list, hook"],
    [{ weights: 'bogus' }, "`weights` is 'bogus', not one of keep, embed, external, reference"],
    [{ order: 'bogus' }, "`order` is 'bogus', not one of out, exec"],
    [{ hookType: 'bogus' }, "`hookType` is 'bogus', not one of forward, forward_pre"],
    [{ outputFmt: 'XYZ' }, "`outputFmt` is 'XYZ', not one of NCHW, NHWC, NLC, NCL"],
    [{ limits: { bogus: 1 } }, 'extract has no option `limits.bogus`'],
    [{ limits: 5 }, '`limits` is 5, not an object'],
    [{ limits: { depth: '5' } }, "`limits.depth` is '5', not a whole number from 1 to 1000"],
    [{ outMpa: ['a'] }, 'extract has no option `outMpa`; did you mean `out` or `outMap`?'],
    [{ 'out-map': ['a'] }, 'extract has no option `out-map`; did you mean `outMap` or `out`?'],
    [{ out: 1 }, '`out` is 1, not a list of whole numbers'],
    [{ out: [1.5] }, '`out` is [1.5], not a list of whole numbers'],
    [{ out: 'neck:x' }, "`out` is 'neck:x', not a list of whole numbers"],
    [{ last: 0 }, '`last` is 0, not a whole number from 1 on'],
    [{ select: [{}] }, '`select` is [{}], not a list of { by: '],
    [{ select: [{ by: 'layer', name: 'x' }] }, '`select` is [{"by":"layer","name":"x"}], not a list of { by: '],
    [{ embedding: 'bogus' }, "`embedding` is 'bogus', not true, false, or one of pooled, "],
    [{ inputShapes: { x: 5 } }, '`inputShapes` is {"x":5}, not a Map or an object from the names of inputs'],
    [{ inputShapes: new Map([['x', [0]]]) }, '`inputShapes` is a Map of [["x",[0]]], not a Map or an object'],
    [{ outMap: 'a' }, "`outMap` is 'a', not a list of names"],
    [{ keepOutputs: 'yes' }, "`keepOutputs` is 'yes', not true or false"],
    [{ align: -1 }, '`align` is -1, not a whole number of bytes from 1 on'],
    [{ timeoutMs: Infinity }, '`timeoutMs` is Infinity, not a number of milliseconds above 0'],
    [{ signal: {} }, '`signal` is {}, not an AbortSignal'],
    [{ features: 'info.json' }, "`features` is 'info.json', not a list of { num_chs, reduction, module }"],
    [{ mode: 1n, align: 2n }, '`mode` is 1, not one of', '`align` is 2, not a whole number'],
    [{ mode: 'x', weights: 'y', zzz: 1 }, "`mode` is 'x'", "`weights` is 'y'", 'extract has no option `zzz`'],
  ])('%j', async (options, ...texts) => {
    const error = await errorOf(extract(MODEL, OUT, as(options)));
    expect(error).toBeInstanceOf(UsageError);
    expect(error).toMatchObject({ code: 'FEATX_USAGE_OPTION' });
    for (const text of texts) expect((error as Error).message).toContain(text);
  });

  test('what takes options says which, where one of them is not there', async () => {
    expect(await errorOf(inspect(MODEL, as({ tensors: true })))).toMatchObject({
      message: expect.stringContaining('did you mean `listTensors`'),
      hint: expect.stringMatching(/^inspect takes .*explain, .*listTensors/),
    });
  });

  test.each([null, 5, 'dict', [1]])('%j in the place of options', async (options) => {
    expect(await errorOf(extract(MODEL, OUT, as(options)))).toBeInstanceOf(UsageError);
  });

  test('inputShapes may be a plain object', async () => {
    const shapes = { input: [2, 3, 96, 96] };
    const [plain, map] = [shapes, new Map(Object.entries(shapes))];
    const reports = [await inspect(MODEL, { inputShapes: plain }), await inspect(MODEL, { inputShapes: map })];
    expect(reports[0].nominal_input_shape).toEqual(shapes);
    expect({ ...reports[0], elapsed_ms: 0 }).toEqual({ ...reports[1], elapsed_ms: 0 });
    await expect(inspect(MODEL, { inputShapes: {} })).resolves.toBeDefined();
  });
});

describe('options of the other functions', () => {
  test.each<[string, () => Promise<unknown>, string]>([
    [
      'run',
      () => run(MODEL, as({ inputs: ['random'], providers: 'cpu' })),
      "`providers` is 'cpu', not 'auto' or a list",
    ],
    ['run', () => run(MODEL, as({ inputs: 'random' })), "`inputs` is 'random', not a list of texts"],
    [
      'run',
      () => run(MODEL, as({ inputs: ['random'], image: { size: 'x' } })),
      "`image.size` is 'x', not a whole number",
    ],
    [
      'run',
      () => run(MODEL, as({ inputs: ['random'], image: { sise: 4 } })),
      'run has no option `image.sise`; did you mean `image.size`',
    ],
    ['run without inputs', () => run(MODEL, { out: [1] }), 'no input is given'],
    ['verify', () => verify(MODEL, MODEL, as({ tolerance: '1' })), "`tolerance` is '1', not a number"],
    ['doctor', () => doctor(as({ providers: 'cpu' })), "`providers` is 'cpu', not a list of cpu, cuda"],
    ['merge', () => merge([], as({ contents: true })), 'merge has no option `contents`; did you mean `content`'],
    ['batch', () => batch([], as({ job: 2 })).next(), 'batch has no option `job`; did you mean `jobs`'],
    [
      'an item of a batch',
      () => batch([{ input: MODEL, output: OUT, options: as({ mode: 'x' }) }]).next(),
      "`mode` is 'x'",
    ],
    [
      'a net',
      () => FeatureListNet.create(MODEL, as({ outIndices: ':1' })),
      "`outIndices` is ':1', not a list of whole",
    ],
    ['a net', () => FeatureDictNet.create(MODEL, as({ out: [1] })), 'net has no option `out`; did you mean `out'],
    ['a net', () => FeatureHookNet.create(MODEL, as({ defaultHookType: 'x' })), "`defaultHookType` is 'x', not one of"],
    ['openModel', () => openModel(MODEL, as({ limit: {} })), 'model has no option `limit`'],
  ])('%s', async (_name, call, text) => {
    const error = await errorOf(call());
    expect(error).toBeInstanceOf(UsageError);
    expect((error as Error).message).toContain(text);
  });
});

describe('values in the place of others', () => {
  test.each([null, undefined, 5, [1, 2], () => 1])('%p as a model', async (model) => {
    for (const call of [inspect, openModel, (it: never) => extract(it, OUT), (it: never) => verify(it, MODEL)])
      expect(await errorOf(call(as(model)))).toMatchObject({
        name: 'UsageError',
        message: expect.stringMatching(/^the model is .*, not a path, bytes in a Uint8Array, or a source of bytes$/),
      });
  });

  test.each([5, '', {}])('%j as an output', async (output) => {
    expect(await errorOf(extract(MODEL, as(output)))).toMatchObject({ name: 'UsageError' });
  });

  const INPUT = { name: 'x', dtype: 'float32', shape: [1, 3, 8, 8] };
  const firstArguments: { readonly [name: string]: (value: never) => Promise<unknown> } = {
    init: (value) => init(value),
    merge: (value) => merge(value),
    batch: (value) => batch(value).next(),
    inspectBytes: (value) => inspectBytes(value),
    extractBytes: (value) => extractBytes(value),
    FeatureListNet: (value) => FeatureListNet.create(value),
    readPictures: (value) => readPictures(value, INPUT),
    readArrays: (value) => readArrays(value),
    encodeArrays: async (value) => encodeArrays(value, 'npz'),
    writeArrays: (value) => writeArrays(value, new Map()),
    'arrays to write': (value) => writeArrays(join(folder, 'a.npz'), value),
    'the input of pictures': (value) => readPictures([new Uint8Array(1)], value),
  };
  test.each(Object.keys(firstArguments))('%s', async (name) => {
    for (const value of [null, 0, true, {}, [null], [{}], () => 1])
      expect([value, await errorOf(firstArguments[name](as(value)))]).toEqual([
        value,
        expect.objectContaining({ name: 'UsageError', message: expect.stringMatching(/./) }),
      ]);
  });

  test.each([null, 5, 'cpu'])('%j as the options of doctor', async (options) => {
    expect(await errorOf(doctor(as(options)))).toMatchObject({ code: 'FEATX_USAGE_OPTION' });
  });

  test('what is fed to a net', async () => {
    await using net = await FeatureListNet.create(MODEL, { outIndices: [1] });
    const shape = [1, 3, 96, 96];
    const count = 3 * 96 * 96;
    for (const [feeds, text] of [
      [null, 'the inputs are null, not a tensor or tensors by the names of inputs'],
      [5, 'the inputs are 5'],
      [new Float32Array(count), 'the inputs are a Float32Array'],
      [{ input: null }, "'input' is null, not { dtype, shape, data }"],
      [{ input: { dtype: 'float32', shape } }, "'input' holds undefined, not a Float32Array, which float32 takes"],
      [
        { input: { dtype: 'float32', shape: 3, data: new Float32Array(3) } },
        "'input' has the shape 3, not a list of sizes",
      ],
      [
        { dtype: 'float32', shape, data: new Float64Array(count) },
        "'input' holds a Float64Array, not a Float32Array, which float32 takes",
      ],
      [{ dtype: 'float64', shape, data: new Float64Array(count) }, "'input' wants float32, not float64"],
    ] as const) {
      const error = await errorOf(net.forward(as(feeds)));
      expect(error).toMatchObject({ name: 'UsageError', message: expect.stringContaining(text) });
    }
    expect(await net.forward({ dtype: 'float32', shape, data: new Float32Array(count) })).toHaveLength(1);
  });
});

describe('an abort is an AbortError whenever it comes', () => {
  const calls: { readonly [name: string]: (signal: AbortSignal) => Promise<unknown> } = {
    inspect: (signal) => inspect(MODEL, { signal }),
    extract: (signal) => extract(MODEL, OUT, { signal, out: [1] }),
    run: (signal) => run(MODEL, { signal, inputs: ['random'], isolate: true }),
    verify: (signal) => verify(MODEL, MODEL, { signal, isolate: true, map: { '/act1/Relu_output_0': 'output' } }),
    net: (signal) => FeatureListNet.create(MODEL, { signal, isolate: true }).then((net) => net.dispose()),
    doctor: (signal) => doctor({ signal, providers: ['cpu'] }),
  };
  test.each(Object.keys(calls))('%s', async (name) => {
    for (const delay of [null, 0, 1, 5, 20, 60, 150]) {
      const controller = new AbortController();
      if (delay === null) controller.abort();
      else setTimeout(() => controller.abort(), delay);
      const error = await calls[name](controller.signal).then(
        () => null,
        (failure: unknown) => failure,
      );
      // A call that was done before the abort has done its work.
      if (error !== null || delay === null)
        expect([delay, (error as Error | null)?.name]).toEqual([delay, 'AbortError']);
    }
  });
});

test.each<[string, unknown, RegExp]>([
  ['reads short', (start: number, end: number) => readFileSync(MODEL).subarray(start, end - 1), /gave \d+ bytes/],
  ['gives null', () => null, /gave null instead of bytes/],
  ['throws', () => Promise.reject(new Error('the bucket is gone')), /failed: the bucket is gone/],
])('a source that %s is an IoError that says offset, wanted and got', async (_name, read, got) => {
  const source = {
    size: readFileSync(MODEL).length,
    read: async (start: number, end: number) => as<typeof run>(read)(as(start), as(end)),
  };
  const error = await errorOf(inspect(as(source)));
  expect(error).toMatchObject({ name: 'IoError', offset: 0 });
  expect((error as Error).message).toMatch(/asked for \d+ bytes from byte 0 on/);
  expect((error as Error).message).toMatch(got);
});
