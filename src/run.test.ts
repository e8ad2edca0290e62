import type { TensorValue } from './onnx/tensor-value.js';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run, type RunOptions } from './run.js';
import { readTensors } from './tensors/array-file.js';
import { decodePicture } from './tensors/image.js';
import { runText } from './report/run-text.js';
import { PLAIN } from './report/style.js';
import { toFloat32 } from './tensors/convert.js';
import { openWriter } from './tensors/open-writer.js';
import { deviation } from './testing/deviation.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec } from './testing/model-spec.js';
import { stopwatch } from './testing/time.js';

const RESNET = 'fixtures/timm/test_resnet.ts.onnx';
const RESNET_INPUT = 'fixtures/timm/test_resnet.reference.npz';
/** Kernels may add up in another order for another batch size. */
const TOLERANCE = 2e-5;
const folder = mkdtempSync(join(tmpdir(), 'featx-run-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function write(name: string, array: TensorValue): Promise<string> {
  const path = join(folder, name);
  await using writer = await openWriter(path, { totalRows: array.shape[0] });
  await writer.write(new Map([['x', array]]), array.shape[0]);
  await writer.finish();
  return path;
}

function floats(shape: readonly number[], from = 0): TensorValue {
  return {
    dtype: 'float32',
    shape,
    data: Float32Array.from(
      { length: shape.reduce((product, dim) => product * dim, 1) },
      (_value, index) => from + index,
    ),
  };
}

/** Runs a graph over arrays stacked on axis 0; what came out, and the report. */
async function runGraph(
  graph: GraphSpec,
  array: TensorValue,
  options: Partial<RunOptions> = {},
): Promise<{
  readonly results: ReadonlyMap<string, TensorValue>;
  readonly features: Awaited<ReturnType<typeof run>>['features'];
}> {
  const output = join(folder, 'graph.npz');
  const input = await write('graph-input.npy', array);
  const { features } = await run(encodeModel({ graph }), {
    inputs: [input],
    output,
    select: (graph.outputs ?? []).map(({ name }) => ({ by: 'tensor', name: String(name) })),
    ...options,
  });
  return { results: await readTensors(output), features };
}

test('a weight is written without any input, and no file is taken for one', async () => {
  const graph: GraphSpec = {
    inputs: [value('x', ['n', 2])],
    outputs: [value('y', null, null)],
    nodes: [node('MatMul', ['x', 'w'], ['y'])],
    initializers: [tensor('w', [2, 2], [1, 2, 3, 4])],
  };
  const model = encodeModel({ graph });
  const output = join(folder, 'weight.npz');
  const report = await run(model, { select: [{ by: 'tensor', name: 'w' }], output });
  expect(report.features.map(({ shape }) => shape)).toEqual([[2, 2]]);
  expect([...(await readTensors(output)).values()].map(({ data }) => [...(data as Float32Array)])).toEqual([
    [1, 2, 3, 4],
  ]);
  await expect(run(model, { select: [{ by: 'tensor', name: 'y' }] })).rejects.toThrow('no input is given');
  const file = await write('none.npy', floats([1, 2]));
  await expect(run(model, { select: [{ by: 'tensor', name: 'w' }], inputs: [file] })).rejects.toThrow('needs no input');
});

describe('random values have the sizes that inspect reports', () => {
  const sizesOf = async (graph: GraphSpec, options: Partial<RunOptions> = {}): Promise<unknown> =>
    (await run(encodeModel({ graph }), { inputs: ['random'], select: [{ by: 'tensor', name: 'y' }], ...options }))
      .features[0].shape;
  const positions: GraphSpec = {
    inputs: [value('x', ['n', 3, 'h', 'w'])],
    outputs: [value('y', null, null)],
    nodes: [node('Add', ['x', 'p'], ['y'])],
    initializers: [weights('p', [1, 3, 64, 64], 1)],
  };

  test('that the network itself fixes', async () => expect(await sizesOf(positions)).toEqual([1, 3, 64, 64]));

  test('given to the only input without its name', async () => {
    const given = { inputShapes: { '': [3, 3, 64, 64] } };
    expect(await sizesOf(positions, given)).toEqual([3, 3, 64, 64]);
    expect(await sizesOf(positions, { inputShapes: { x: [3, 3, 64, 64] } })).toEqual([3, 3, 64, 64]);
  });

  test('one for a symbol that inputs share, and formulas of it', async () => {
    const graph: GraphSpec = {
      inputs: [value('a', ['batch', 'seq']), value('b', ['batch', 'seq']), value('c', ['batch', '2*seq'])],
      outputs: [value('y', null, null)],
      nodes: [node('Add', ['a', 'b'], ['s']), node('Concat', ['s', 'c'], ['y'], { axis: { int: 1 } })],
    };
    expect(await sizesOf(graph)).toEqual([1, 48]);
    expect(await sizesOf(graph, { inputShapes: { a: [2, 5] } })).toEqual([2, 15]);
  });
});

describe('batches', () => {
  test.each([false, true])('give what one batch gives, isolated: %s', async (isolate) => {
    const shared = { inputs: [`input=${RESNET_INPUT}`], out: [1, -1], isolate };
    const whole = await run(RESNET, { ...shared, output: join(folder, 'whole.npz') });
    const seen: number[][] = [];
    const split = await run(RESNET, {
      ...shared,
      output: join(folder, 'split.npz'),
      batchSize: 1,
      onProgress: (...rows) => seen.push(rows),
    });
    expect(whole.features.map(({ output, shape }) => [output, shape])).toEqual([
      ['1', [2, 32, 24, 24]],
      ['4', [2, 96, 3, 3]],
    ]);
    expect(split.features.map(({ shape }) => shape)).toEqual(whole.features.map(({ shape }) => shape));
    const [a, b] = [await readTensors(join(folder, 'whole.npz')), await readTensors(join(folder, 'split.npz'))];
    for (const [key, wanted] of a) expect(deviation(b.get(key) as never, wanted as never)).toBeLessThan(TOLERANCE);
    expect(seen).toEqual([
      [1, 2],
      [2, 2],
    ]);
  });

  const fixed = (more: Partial<GraphSpec>): GraphSpec => ({
    inputs: [value('x', [2, 4])],
    outputs: [value('y', null, null)],
    ...more,
  });

  test('a fixed batch is filled up, and what fills it is cut off again', async () => {
    const { results } = await runGraph(fixed({ nodes: [node('Neg', ['x'], ['y'])] }), floats([5, 4]));
    expect(results.get('y')).toEqual({
      dtype: 'float32',
      shape: [5, 4],
      data: Float32Array.from({ length: 20 }, (_value, index) => -index),
    });
  });

  test('windows: axis 0 holds several parts of each entry', async () => {
    const graph = fixed({
      inputs: [value('x', [2, 6])],
      initializers: [tensor('windows', [3], [-1, 3, 1], 'int64')],
      nodes: [node('Reshape', ['x', 'windows'], ['y'])],
    });
    const { results, features } = await runGraph(graph, floats([3, 6]));
    expect(results.get('y')).toEqual(floats([6, 3, 1]));
    expect(features[0].shape).toEqual([6, 3, 1]);
  });

  test('a run that fails leaves no file, and no process that waits', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['n', 1], 'int64')],
      outputs: [value('y', null, null)],
      initializers: [weights('table', [4, 2], 1)],
      nodes: [node('Gather', ['table', 'x'], ['y'])],
    };
    const target = mkdtempSync(join(folder, 'failing-'));
    const input = await write('indices.npy', { dtype: 'int64', shape: [4, 1], data: BigInt64Array.of(0n, 1n, 9n, 2n) });
    for (const isolate of [false, true]) {
      await expect(
        run(encodeModel({ graph }), {
          inputs: [input],
          select: [{ by: 'tensor', name: 'y' }],
          output: join(target, 'out.npz'),
          batchSize: 1,
          isolate,
        }),
      ).rejects.toMatchObject({ name: 'RuntimeError', message: expect.stringContaining('indices') });
      expect(readdirSync(target)).toEqual([]);
    }
  });
});

describe('the report', () => {
  test('says what is not finite, and gives the figures of the rest', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['n'])],
      outputs: [value('y', null, null)],
      nodes: [node('Log', ['x'], ['y'])],
    };
    const { features } = await runGraph(graph, {
      dtype: 'float32',
      shape: [4],
      data: Float32Array.of(-1, 0, 1, Math.E),
    });
    expect(features).toEqual([
      expect.objectContaining({ output: 'y', min: 0, max: 1, mean: 0.5, std: 0.5, nan: 1, infinite: 1 }),
    ]);
    const {
      features: [plain],
    } = await runGraph(graph, { dtype: 'float32', shape: [1], data: Float32Array.of(1) });
    expect(plain).not.toHaveProperty('nan');
    expect(plain).not.toHaveProperty('infinite');
  });

  test('computes no statistics where nobody wants them, and writes the same', async () => {
    const given = { inputs: [RESNET_INPUT], out: [1] };
    const [all, none] = [join(folder, 'summary.npz'), join(folder, 'no-summary.npz')];
    const said = await run(RESNET, { ...given, output: all });
    const silent = await run(RESNET, { ...given, output: none, statistics: false });
    const [{ min: _min, max: _max, mean: _mean, std: _std, ...rest }] = said.features;
    expect(silent.features).toEqual([rest]);
    expect(runText(silent, PLAIN)).not.toMatch(/min|mean|std/);
    expect(readFileSync(none)).toEqual(readFileSync(all));
  });

  test('names inputs, output, and how long it ran', async () => {
    const output = join(folder, 'named.safetensors');
    const report = await run(RESNET, { inputs: [RESNET_INPUT], out: [0], output, outMap: ['first'], name: 'my model' });
    expect(report).toMatchObject({
      command: 'run',
      model: 'my model',
      output,
      provider: 'cpu',
      inputs: [RESNET_INPUT],
      images: 0,
      warnings: [expect.stringContaining('not inputs of the model')],
      features: [{ index: 0, output: 'first', dtype: 'float32' }],
    });
    expect(report.run_ms).toBeGreaterThanOrEqual(0);
    expect(report.elapsed_ms).toBeGreaterThanOrEqual(report.run_ms);
    await expect(run(RESNET, { inputs: [RESNET_INPUT], out: [0], strict: true })).rejects.toMatchObject({
      code: 'FEATX_STRICT',
    });
  });
});

test('a model in memory runs as one on disk does', async () => {
  const path = 'fixtures/timm/test_vit.dy.onnx';
  const options = { inputs: ['random:3'], last: 1 };
  const fromDisk = await run(path, options);
  const fromMemory = await run(readFileSync(path), options);
  expect(fromMemory.features).toEqual(fromDisk.features);
  expect(fromDisk.output).toBeNull();
});

describe('a photograph into a float16 network', () => {
  const model = 'fixtures/pictures/squeezenet1.1_fp16.onnx';
  const inputs = ['fixtures/pictures/chelsea.png'];

  test('to npz', async () => {
    const output = join(folder, 'cat.npz');
    const { images, features } = await run(model, { inputs, output });
    expect([images, features.map(({ shape, dtype }) => [dtype, ...shape])]).toEqual([
      1,
      [
        ['float16', 1, 64, 111, 111],
        ['float16', 1, 128, 55, 55],
        ['float16', 1, 256, 27, 27],
        ['float16', 1, 512, 13, 13],
      ],
    ]);
    expect([...(await readTensors(output))].map(([key, { dtype, shape }]) => [key, dtype, ...shape])).toEqual(
      features.map(({ output: key, dtype, shape }) => [key, dtype, ...shape]),
    );
  });

  test('is recognised: pictures go in as they should, halves come out as they are', async () => {
    const output = join(folder, 'cat.npy');
    // This network was trained on values from 0 to 255.
    await run(model, {
      inputs,
      output,
      select: [{ by: 'tensor', name: 'softmaxout_1' }],
      image: { mean: [0], std: [1 / 255] },
    });
    const [scores] = (await readTensors(output)).values();
    const values = toFloat32(scores);
    const best = [...values.keys()].sort((a, b) => values[b] - values[a]).slice(0, 3);
    // ImageNet's Egyptian cat, tabby, tiger cat.
    expect(best).toEqual([285, 281, 282]);
    expect(values.reduce((sum, probability) => sum + probability, 0)).toBeCloseTo(1, 2);
  });
});

describe('a profile', () => {
  test('goes where it was asked for', async () => {
    const profile = join(folder, 'profile.json');
    for (const isolate of [false, true]) {
      const { warnings } = await run(RESNET, {
        inputs: [RESNET_INPUT, RESNET_INPUT],
        out: [1],
        batchSize: 2,
        profile,
        isolate,
      });
      expect(warnings).toHaveLength(1);
      const events: { cat: string; name: string; args: { provider?: string } }[] = JSON.parse(
        readFileSync(profile, 'utf8'),
      );
      // One run: every node once.
      const kernels = events
        .filter(({ cat, name }) => cat === 'Node' && name.endsWith('_kernel_time'))
        .map(({ name }) => name);
      expect(kernels.length).toBeGreaterThan(3);
      expect(new Set(kernels).size).toBe(kernels.length);
      rmSync(profile);
    }
    expect(readdirSync(folder).filter((name) => name.startsWith('profile'))).toEqual([]);
  });

  test('goes into a folder that is made for it, and not into a file', async () => {
    const profile = join(folder, 'new', 'profile.json');
    await run(RESNET, { inputs: [RESNET_INPUT], out: [1], profile });
    expect(readdirSync(join(folder, 'new'))).toEqual(['profile.json']);
    await expect(
      run(RESNET, { inputs: [RESNET_INPUT], out: [1], profile: join(profile, 'profile.json') }),
    ).rejects.toMatchObject({ name: 'IoError' });
  });
});

describe('a model that prepares pictures itself and has no batch axis', () => {
  const pictures = ['fixtures/tensors/picture.png', 'fixtures/pictures/chelsea.png'];
  const model = encodeModel({
    graph: {
      inputs: [value('pixels', [3, 'h', 'w'], 'uint8')],
      outputs: [value('mean', [1, 3]), value('largest', [3, 1, 1])],
      initializers: [tensor('axis', [1], [0], 'int64')],
      nodes: [
        node('Cast', ['pixels'], ['float'], { to: { int: 1 } }),
        node('Unsqueeze', ['float', 'axis'], ['batch']),
        node('ReduceMean', ['batch'], ['mean'], { axes: { ints: [2, 3] }, keepdims: { int: 0 } }),
        node('ReduceMax', ['float'], ['largest'], { axes: { ints: [1, 2] } }),
      ],
    },
  });
  const select = (name: string): RunOptions['select'] => [{ by: 'tensor', name }];

  test('several pictures are several rows, of their pixels as they are', async () => {
    const output = join(folder, 'pixels.npz');
    const report = await run(model, { inputs: pictures, select: select('mean'), output });
    const expected = await Promise.all(
      pictures.map(async (path) => {
        const { data } = await decodePicture(readFileSync(path), path);
        return [0, 1, 2].map(
          (channel) =>
            data.filter((_value, at) => at % 3 === channel).reduce((sum, pixel) => sum + pixel, 0) / (data.length / 3),
        );
      }),
    );
    const [mean] = (await readTensors(output)).values();
    expect(mean.shape).toEqual([2, 3]);
    expected.flat().forEach((number, at) => expect(mean.data[at]).toBeCloseTo(number, 2));
    expect(report).toMatchObject({
      images: 2,
      warnings: [],
      preprocessing: [
        { input: 'pixels', dtype: 'uint8', layout: 'CHW', height: null, width: null, mean: null, std: null },
      ],
    });
  });

  test('a feature without an axis for entries gets one', async () => {
    const { features } = await run(model, { inputs: pictures.slice(0, 1), select: select('largest') });
    expect(features[0].shape).toEqual([1, 3, 1, 1]);
    const several = await run(model, { inputs: pictures, select: select('largest') });
    expect(several.features[0]).toMatchObject({ shape: [2, 3, 1, 1], entry_axis: 0, parts_per_entry: 1 });
  });

  test('features of several sizes cannot be joined, written or not', async () => {
    for (const output of [undefined, join(folder, 'sizes.npz')])
      await expect(run(model, { inputs: pictures, select: select('batch'), output })).rejects.toThrow(
        /cannot be joined/,
      );
    const { features } = await run(model, { inputs: pictures, select: select('batch'), image: { size: 16 } });
    expect(features[0].shape).toEqual([2, 3, 16, 16]);
  });
});

describe('being interrupted', () => {
  const endless = encodeModel({
    graph: {
      inputs: [value('x', [1])],
      outputs: [value('y', null, null)],
      initializers: [tensor('times', [], [2 ** 53 - 1], 'int64'), tensor('yes', [], [1], 'bool')],
      nodes: [
        node('Loop', ['times', 'yes', 'x'], ['y'], {
          body: {
            graph: {
              inputs: [value('i', [], 'int64'), value('c', [], 'bool'), value('v', [1])],
              nodes: [node('Identity', ['c'], ['go']), node('Neg', ['v'], ['w'])],
              outputs: [value('go', [], 'bool'), value('w', [1])],
            },
          },
        }),
      ],
    },
  });

  test('ends a run that would never end, and leaves nothing', async () => {
    const target = join(folder, 'interrupted');
    mkdirSync(target);
    writeFileSync(join(target, 'endless.onnx'), endless);
    const controller = new AbortController();
    const clock = stopwatch();
    const running = run(join(target, 'endless.onnx'), {
      inputs: ['random'],
      select: [{ by: 'tensor', name: 'y' }],
      output: join(target, 'out.npz'),
      isolate: true,
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(new Error('enough')), 1_500);
    await expect(running).rejects.toThrow('enough');
    clock.within(10_000);
    expect(readdirSync(target)).toEqual(['endless.onnx']);
    expect(existsSync(join(target, 'out.npz'))).toBe(false);
  });

  test('before it begins', async () => {
    await expect(
      run(RESNET, { inputs: ['random'], out: [0], isolate: true, signal: AbortSignal.abort(new Error('no')) }),
    ).rejects.toThrow('no');
  });
});
