import type { TensorValue } from '../onnx/tensor-value.js';
import { mkdtempSync, mkdirSync, readdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openModel } from '../open.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec, type ModelSpec, type NodeSpec } from '../testing/model-spec.js';
import { openSession } from './open-session.js';
import type { SessionOptions } from './session-options.js';
import { patience } from '../testing/time.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-session-'));
afterAll(() => rmSync(folder, { recursive: true }));

const floats = (shape: readonly number[], ...values: number[]): TensorValue => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});
const feeds = (entries: Record<string, TensorValue>): Map<string, TensorValue> => new Map(Object.entries(entries));

/** Opens a model given as a graph, runs it once, closes it. */
async function run(
  spec: GraphSpec | ModelSpec,
  inputs: Record<string, TensorValue>,
  options: SessionOptions = {},
): Promise<Record<string, TensorValue>> {
  await using model = await openModel(encodeModel('graph' in spec ? spec : { graph: spec }));
  await using session = await openSession(model, options);
  return Object.fromEntries(await session.run(feeds(inputs)));
}

const chain = (...nodes: readonly NodeSpec[]): GraphSpec => ({
  inputs: [value('x', ['n', 2])],
  outputs: [value('y', null, null)],
  nodes,
});
const double = chain(node('Add', ['x', 'x'], ['twice']), node('Neg', ['twice'], ['y']));
const x = floats([1, 2], 1, -2);

describe('running', () => {
  test.each([false, true])('gives what was asked for, isolated: %s', async (isolate) => {
    expect(await run(double, { x }, { isolate })).toEqual({ y: floats([1, 2], -2, 4) });
    expect(
      await run(
        double,
        { x },
        { isolate, outputs: ['twice'], threads: 1, optimization: 'disabled', prepacking: false },
      ),
    ).toEqual({ twice: floats([1, 2], 2, -4) });
  });

  test('large values keep apart, however many runs wait for each other, and memory that is given back is used again', async () => {
    await using model = await openModel(encodeModel({ graph: double }));
    await using session = await openSession(model, { isolate: true, outputs: ['twice', 'y'] });
    const rows = 40_000;
    const ask = async (seed: number): Promise<readonly TensorValue[]> => {
      const given = Float32Array.from({ length: 2 * rows }, (_value, index) => (seed * 7919 + index) % 65_536);
      const results = await session.run(feeds({ x: { dtype: 'float32', shape: [rows, 2], data: given } }));
      expect(results.get('twice')?.data).toEqual(given.map((number) => 2 * number));
      expect(results.get('y')?.data).toEqual(given.map((number) => -2 * number));
      return [...results.values()];
    };
    const first = await Promise.all([1, 2, 3, 4].map(ask));
    const memory = new Set(first.flat().map(({ data }) => (data as Float32Array).buffer));
    expect(memory.size).toBe(8);
    for (const results of first) session.recycle(results);
    const second = await Promise.all([5, 6].map(ask));
    expect(second.flat().filter(({ data }) => memory.has((data as Float32Array).buffer))).toHaveLength(4);
  });

  test('every dtype goes in and comes out', async () => {
    const cases: readonly TensorValue[] = [
      { dtype: 'float64', shape: [2], data: Float64Array.of(0.1, -1) },
      { dtype: 'float16', shape: [2], data: Uint16Array.of(0x3c00, 0xbc01) },
      { dtype: 'int8', shape: [2], data: Int8Array.of(-1, 2) },
      { dtype: 'uint8', shape: [2], data: Uint8Array.of(255, 2) },
      { dtype: 'int16', shape: [2], data: Int16Array.of(-9, 2) },
      { dtype: 'uint16', shape: [2], data: Uint16Array.of(65535, 2) },
      { dtype: 'int32', shape: [2], data: Int32Array.of(-9, 2) },
      { dtype: 'uint32', shape: [2], data: Uint32Array.of(4294967295, 2) },
      { dtype: 'int64', shape: [2], data: BigInt64Array.of(-9n, 2n ** 60n) },
      { dtype: 'uint64', shape: [2], data: BigUint64Array.of(2n ** 63n, 2n) },
      { dtype: 'bool', shape: [2], data: Uint8Array.of(1, 0) },
      { dtype: 'string', shape: [2], data: ['ä', ''] },
      { dtype: 'float32', shape: [], data: Float32Array.of(3) },
      { dtype: 'float32', shape: [0, 2], data: new Float32Array(0) },
    ];
    for (const isolate of [false, true]) {
      for (const given of isolate ? [cases[1], cases[8], cases[11]] : cases) {
        const graph: GraphSpec = {
          inputs: [value('x', given.shape, given.dtype as 'float32')],
          outputs: [value('y', null, null)],
          nodes: [node('Identity', ['x'], ['y'])],
        };
        expect(await run(graph, { x: given }, { isolate })).toEqual({ y: given });
      }
    }
  });

  test('bfloat16, float8 and int4 travel in wider types, both ways', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', [2]), value('b', [2], 'bfloat16')],
      outputs: [
        value('to_b', null, null),
        value('to_f8', null, null),
        value('to_i4', null, null),
        value('to_u4', null, null),
        value('from_b', null, null),
      ],
      nodes: [16, 17, 22, 21]
        .map((to, index) => node('Cast', ['x'], [['to_b', 'to_f8', 'to_i4', 'to_u4'][index]], { to: { int: to } }))
        .concat(node('Cast', ['b'], ['from_b'], { to: { int: 1 } })),
    };
    const b: TensorValue = { dtype: 'bfloat16', shape: [2], data: Uint16Array.of(0x3f80, 0xc040) };
    const results = await run({ graph, opset: 21, irVersion: 10 }, { x: floats([2], 1, 3), b });
    expect(results).toEqual({
      to_b: floats([2], 1, 3),
      to_f8: floats([2], 1, 3),
      to_i4: { dtype: 'int8', shape: [2], data: Int8Array.of(1, 3) },
      to_u4: { dtype: 'uint8', shape: [2], data: Uint8Array.of(1, 3) },
      from_b: floats([2], 1, -3),
    });
  });

  test('a dtype that only the runtime knows is found out, not stumbled over', async () => {
    const branch = (name: string): GraphSpec => ({
      nodes: [node('Cast', ['x'], [name], { to: { int: 16 } })],
      outputs: [value(name, null, null)],
    });
    const graph: GraphSpec = {
      inputs: [value('x', [2]), value('c', [], 'bool')],
      outputs: [value('y', null, null)],
      nodes: [node('If', ['c'], ['y'], { then_branch: { graph: branch('t') }, else_branch: { graph: branch('e') } })],
    };
    expect(
      await run(graph, { x: floats([2], 1.5, 3), c: { dtype: 'bool', shape: [], data: Uint8Array.of(1) } }),
    ).toEqual({ y: floats([2], 1.5, 3) });
  });

  test('names that JavaScript or the binding would garble', async () => {
    const bad = Uint8Array.from([0x61, 0xff]);
    const graph: GraphSpec = {
      inputs: [value('__proto__', [2])],
      outputs: [
        value('constructor', null, null),
        value(bad, null, null),
        value('1', null, null),
        value('0', null, null),
      ],
      nodes: [
        node('Neg', ['__proto__'], ['constructor']),
        node('Abs', ['__proto__'], [bad]),
        node('Relu', ['__proto__'], ['1']),
        node('Exp', ['__proto__'], ['0']),
      ],
    };
    await using model = await openModel(encodeModel({ graph }));
    await using session = await openSession(model);
    const results = await session.run(new Map([['__proto__', floats([2], 0, -2)]]));
    expect([...results.keys()]).toEqual(['constructor', 'a\udcff', '1', '0']);
    expect(results.get('constructor')?.data).toEqual(Float32Array.of(-0, 2));
    expect(results.get('a\udcff')?.data).toEqual(Float32Array.of(0, 2));
  });

  test('an input or an initializer as an output, and one tensor twice', async () => {
    const graph: GraphSpec = { ...double, initializers: [tensor('w', [1], [7])] };
    expect(await run(graph, { x }, { outputs: ['x', 'w', 'x', 'twice'] })).toEqual({
      x,
      w: floats([1], 7),
      twice: floats([1, 2], 2, -4),
    });
  });

  test('memory that is shared or not aligned is copied, not refused', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([1, -2]);
    expect(await run(double, { x: { ...x, data: shared } })).toEqual({ y: floats([1, 2], -2, 4) });
    const part = new Float32Array([9, 1, -2, 9]).subarray(1, 3);
    expect(await run(double, { x: { ...x, data: part } })).toEqual({ y: floats([1, 2], -2, 4) });
  });

  test('an initializer listed as an input has its default', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', [1, 2]), value('w', [1])],
      outputs: [value('y', null, null)],
      initializers: [tensor('w', [1], [7])],
      nodes: [node('Add', ['x', 'w'], ['y'])],
    };
    for (const irVersion of [3, 8]) expect(await run({ graph, irVersion }, { x })).toEqual({ y: floats([1, 2], 8, 5) });
  });
});

describe('weights stay in their files', () => {
  const w = weights('w', [40, 40], 5);
  const constant = weights('', [40, 40], 6);
  const branch = (name: string): GraphSpec => ({
    initializers: [weights(`w${name}`, [40, 40], 7)],
    nodes: [node('MatMul', ['m', `w${name}`], [name])],
    outputs: [value(name, null, null)],
  });
  const graph: GraphSpec = {
    inputs: [value('x', ['n', 40]), value('c', [], 'bool')],
    outputs: [value('y', null, null)],
    initializers: [w, { ...weights('v', [40, 40], 9), typed: true }],
    nodes: [
      node('MatMul', ['x', 'w'], ['a']),
      node('Constant', [], ['k'], { value: { tensor: constant } }),
      node('MatMul', ['a', 'k'], ['b']),
      node('MatMul', ['b', 'v'], ['m']),
      node('If', ['c'], ['y'], { then_branch: { graph: branch('t') }, else_branch: { graph: branch('e') } }),
    ],
  };
  const inputs = {
    x: { dtype: 'float32', shape: [1, 40], data: Float32Array.from({ length: 40 }, (_, index) => index / 40) },
    c: { dtype: 'bool', shape: [], data: Uint8Array.of(1) },
  };

  test('inline: a path gives what the bytes give', async () => {
    const bytes = encodeModel({ graph });
    const path = join(folder, 'inline.onnx');
    writeFileSync(path, bytes);
    for (const isolate of [false, true]) {
      const options: SessionOptions = { optimization: 'disabled', prepacking: isolate };
      const expected = await run(graph, inputs, options);
      await using model = await openModel(path);
      await using session = await openSession(model, { ...options, isolate });
      expect(await session.run(feeds(inputs))).toEqual(new Map(Object.entries(expected)));
    }
  });

  test('behind a link into another directory, as a Hugging Face cache has it', async () => {
    const blobs = join(folder, 'blobs');
    const snapshot = join(folder, 'snapshot');
    mkdirSync(blobs);
    mkdirSync(snapshot);
    const data = new Uint8Array(Float32Array.from({ length: 1600 }, (_, index) => Math.sin(index)).buffer);
    writeFileSync(join(blobs, 'abc'), data);
    const external = {
      name: 'w',
      dims: [40, 40],
      external: [
        ['location', 'weights.bin'],
        ['offset', '0'],
        ['length', '6400'],
      ],
    } as const;
    const linked: GraphSpec = {
      inputs: [value('x', ['n', 40])],
      outputs: [value('y', null, null)],
      initializers: [external],
      nodes: [node('MatMul', ['x', 'w'], ['y'])],
    };
    writeFileSync(join(blobs, 'def'), encodeModel({ graph: linked }));
    symlinkSync(join(blobs, 'abc'), join(snapshot, 'weights.bin'));
    symlinkSync(join(blobs, 'def'), join(snapshot, 'model.onnx'));
    await using model = await openModel(join(snapshot, 'model.onnx'));
    await using session = await openSession(model);
    const { x: input } = inputs;
    const got = (await session.run(feeds({ x: input }))).get('y');
    const inline = { ...linked, initializers: [{ name: 'w', dims: [40, 40], data }] };
    expect(got).toEqual((await run(inline, { x: input })).y);
  });

  test('a file that was cut short or replaced is refused before it is read', async () => {
    const path = join(folder, 'changing.onnx');
    writeFileSync(path, encodeModel({ graph }));
    await using model = await openModel(path);
    await using session = await openSession(model, { prepacking: false });
    await session.run(feeds(inputs));
    truncateSync(path, 2000);
    await expect(session.run(feeds(inputs))).rejects.toMatchObject({ name: 'IoError', code: 'FEATX_IO_CHANGED' });
    const other = join(folder, 'other.onnx');
    writeFileSync(other, encodeModel({ graph }));
    await using stale = await openModel(other);
    rmSync(other);
    writeFileSync(other, encodeModel({ graph: double }));
    await expect(openSession(stale)).rejects.toMatchObject({ name: 'IoError', code: 'FEATX_IO_CHANGED' });
  });

  test.each([
    ['missing', 'nowhere.bin', { name: 'IoError', code: 'FEATX_IO_NOT_FOUND' }],
    ['outside the directory', '../secret', { name: 'PolicyError' }],
    ['absolute', '/etc/passwd', { name: 'PolicyError' }],
  ])('external data that is %s', async (_what, location, error) => {
    const path = join(folder, 'external.onnx');
    const external = {
      name: 'w',
      dims: [2],
      external: [
        ['location', location],
        ['length', '8'],
      ],
    } as const;
    writeFileSync(
      path,
      encodeModel({ graph: { ...double, initializers: [external], nodes: [node('Add', ['x', 'w'], ['y'])] } }),
    );
    await using model = await openModel(path);
    await expect(openSession(model)).rejects.toMatchObject(error);
    await using inMemory = await openModel(
      encodeModel({ graph: { ...double, initializers: [external], nodes: [node('Add', ['x', 'w'], ['y'])] } }),
    );
    await expect(openSession(inMemory)).rejects.toThrow();
  });
});

describe('what is refused', () => {
  test('feeds that do not fit, all in one error', async () => {
    const graph: GraphSpec = {
      inputs: [value('a', [1, 2]), value('b', ['n'], 'int64'), value('c', [1]), value('d', [2])],
      outputs: [value('y', null, null)],
      nodes: [node('Sum', ['a', 'c', 'd'], ['s']), node('Gather', ['s', 'b'], ['y'])],
    };
    const bad = { a: floats([1, 3], 1, 2, 3), b: floats([1], 0), d: floats([2], 1), z: x };
    await expect(run(graph, bad)).rejects.toMatchObject({
      name: 'UsageError',
      message:
        "the inputs do not fit the model: 'a' has the shape [1, 3] and must have [1, 2]; 'b' wants int64, not float32; 'd' holds 1 values of float32 and its shape [2] takes 2; 'z' is not an input; 'c' is not given",
      hint: 'its inputs are a (float32 [1, 2]), b (int64 [n]), c (float32 [1]), d (float32 [2])',
    });
  });

  test('tensors and outputs that are not there', async () => {
    await expect(run(double, { x }, { outputs: ['twice', 'thrice'] })).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining("'thrice'"),
    });
    await using model = await openModel(encodeModel({ graph: double }));
    await using session = await openSession(model);
    await expect(session.run(feeds({ x }), ['twice'])).rejects.toMatchObject({ name: 'UsageError' });
  });

  test('values that are no tensors: left out with a warning, or refused by name', async () => {
    const graph: GraphSpec = {
      ...chain(node('SplitToSequence', ['x'], ['list']), node('Neg', ['x'], ['y'])),
      outputs: [value('list', null, null), value('y', null, null)],
    };
    expect(Object.keys(await run(graph, { x }))).toEqual(['y']);
    await expect(run(graph, { x }, { outputs: ['list'] })).rejects.toMatchObject({ name: 'UnsupportedModelError' });
  });

  test.each([
    [
      'an operator that is not registered',
      chain(node('Magic', ['x'], ['y'], {}, { domain: 'my.domain' })),
      /my\.domain:Magic/,
    ],
    ['a graph that contradicts itself', chain(node('Conv', ['x'], ['y'])), /Conv/],
  ])('a model with %s', async (_what, graph, message) => {
    const opset = [
      ['', 17],
      ['my.domain', 1],
    ] as const;
    for (const isolate of [false, true])
      await expect(run({ graph, opset }, { x }, { isolate })).rejects.toMatchObject({
        name: 'RuntimeError',
        code: 'FEATX_RUNTIME_MODEL',
        message: expect.stringMatching(message),
      });
  });

  test('versions: an opset that is not released runs where its operators are known; one that is too old or too new, and an IR that is, are refused', async () => {
    const of = (model: Partial<ModelSpec>, graph: GraphSpec = double): ModelSpec => ({ ...model, graph });
    for (const isolate of [false, true]) {
      // Jest's environment variables are its own; ONNX Runtime reads those of the process.
      if (isolate) expect(await run(of({ opset: 27 }), { x }, { isolate })).toEqual({ y: floats([1, 2], -2, 4) });
      for (const [model, message] of [
        [of({ opset: 40 }), /(?:domain_version of|Opset) 40/],
        [of({ opset: 6 }), /Add\(6\)/],
        [of({ irVersion: 20 }), /refuses the model: Unsupported model IR version: 20/],
      ] as const) {
        await expect(run(model, { x }, { isolate })).rejects.toMatchObject({
          code: 'FEATX_RUNTIME_MODEL',
          message: expect.stringMatching(message),
        });
      }
    }
  });

  test('dtypes that have no kernels, or no way out of the graph', async () => {
    const cast = { ...chain(node('Cast', ['x'], ['y'], { to: { int: 23 } })) };
    await expect(run({ opset: 23, irVersion: 11, graph: cast }, { x })).rejects.toMatchObject({
      code: 'FEATX_RUNTIME_MODEL',
      message: expect.stringContaining('Cast(23)'),
    });
    const complex = {
      ...chain(node('Identity', ['c'], ['y'])),
      initializers: [{ name: 'c', dims: [1], type: 'complex64', data: new Uint8Array(8) }],
    } as const;
    await expect(run(complex, { x })).rejects.toMatchObject({
      name: 'UnsupportedModelError',
      message: expect.stringContaining('complex64'),
    });
  });

  test('outputs that a file lists twice or declares wrongly are what they are', async () => {
    for (const outputs of [
      [value('y', null, null), value('y', null, null)],
      [value('y', [2], 'int64')],
      [value('y', [7, 3])],
    ])
      expect(await run({ ...double, outputs }, { x })).toEqual({ y: floats([1, 2], -2, 4) });
  });

  test('a run that fails, and an allocation that no machine has', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['n'], 'int64')],
      outputs: [value('y', null, null)],
      nodes: [node('ConstantOfShape', ['x'], ['y'])],
    };
    const huge: TensorValue = { dtype: 'int64', shape: [2], data: BigInt64Array.of(1n << 20n, 1n << 21n) };
    for (const isolate of [false, true])
      await expect(run(graph, { x: huge }, { isolate })).rejects.toMatchObject({
        name: 'RuntimeError',
        code: 'FEATX_RUNTIME',
        message: expect.stringMatching(/alloc/i),
      });
  });

  test('options that are none, and limits without a child', async () => {
    await expect(run(double, { x }, { threads: 0 })).rejects.toThrow(
      '`threads` is 0, not a whole number from 1 to 1024',
    );
    await expect(run(double, { x }, { threads: 1_000_000 })).rejects.toThrow('a whole number from 1 to 1024');
    expect(await run(double, { x }, { threads: 1024 })).toBeDefined();
    await expect(run(double, { x }, { timeoutMs: 5 })).rejects.toMatchObject({
      name: 'UsageError',
      hint: 'set isolate: true',
    });
    await expect(run(double, { x }, { providers: ['gpu'] })).rejects.toMatchObject({
      name: 'UsageError',
      message: "'gpu' is not an execution provider",
      hint: expect.stringContaining('webgpu'),
    });
    await expect(run(double, { x }, { providers: [] })).rejects.toMatchObject({ name: 'UsageError' });
  });

  test('a session that was closed, twice', async () => {
    await using model = await openModel(encodeModel({ graph: double }));
    const session = await openSession(model);
    await session.close();
    await session.close();
    await expect(session.run(feeds({ x }))).rejects.toMatchObject({ code: 'FEATX_RUNTIME_CLOSED' });
  });
});

describe('what takes too long or too much', () => {
  const endless: GraphSpec = {
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
  };

  test('an endless loop is ended by the time limit', async () => {
    await using model = await openModel(encodeModel({ graph: endless }));
    await using session = await openSession(model, { isolate: true, timeoutMs: patience(1_000) });
    await expect(session.run(feeds({ x: floats([1], 1) }))).rejects.toMatchObject({
      name: 'TimeoutError',
      code: 'FEATX_TIMEOUT',
    });
    await expect(session.run(feeds({ x: floats([1], 1) }))).rejects.toMatchObject({ code: 'FEATX_RUNTIME_CLOSED' });
  });

  test('an abort is an AbortError while it opens, while it runs and afterwards', async () => {
    await using model = await openModel(encodeModel({ graph: endless }));
    const signal = AbortSignal.abort();
    await expect(openSession(model, { isolate: true, signal })).rejects.toMatchObject({ name: 'AbortError' });
    const controller = new AbortController();
    await using session = await openSession(model, { isolate: true, signal: controller.signal });
    const running = session.run(feeds({ x: floats([1], 1) }));
    setTimeout(() => controller.abort(), 50);
    await expect(running).rejects.toMatchObject({ name: 'AbortError' });
    await expect(session.run(feeds({ x: floats([1], 1) }))).rejects.toMatchObject({ name: 'AbortError' });
  });

  test('memory is bounded', async () => {
    const graph: GraphSpec = {
      inputs: [value('x', ['n'], 'int64')],
      outputs: [value('y', null, null)],
      nodes: [
        node('ConstantOfShape', ['x'], ['big']),
        node('Exp', ['big'], ['e']),
        node('Expand', ['e', 'more'], ['many']),
        node('ReduceSum', ['many'], ['y']),
      ],
      initializers: [tensor('more', [3], [64, 1, 1], 'int64')],
    };
    const large: TensorValue = { dtype: 'int64', shape: [2], data: BigInt64Array.of(1024n, 8192n) };
    await using model = await openModel(encodeModel({ graph }));
    await using session = await openSession(model, {
      isolate: true,
      memoryBytes: 256 * 1024 * 1024,
      timeoutMs: patience(30_000),
    });
    await expect(session.run(feeds({ x: large }))).rejects.toMatchObject({
      name: 'TimeoutError',
      code: 'FEATX_MEMORY',
    });
  });
});

describe('providers', () => {
  test('one that is named never becomes the CPU', async () => {
    for (const isolate of [false, true]) {
      for (const provider of ['cuda', 'tensorrt', process.platform === 'win32' ? 'coreml' : 'dml']) {
        await expect(run(double, { x }, { providers: [provider], isolate })).rejects.toMatchObject({
          name: 'RuntimeError',
          code: 'FEATX_DEVICE',
          message: expect.stringContaining(provider),
          hint: expect.stringMatching(/./),
        });
      }
    }
  });

  test('several are tried in their order, and auto always ends somewhere', async () => {
    for (const providers of [['dml', 'coreml', 'cpu'], 'auto'] as const) {
      await using model = await openModel(encodeModel({ graph: double }));
      await using session = await openSession(model, { providers });
      expect((await session.run(feeds({ x }))).get('y')).toEqual(floats([1, 2], -2, 4));
      if (providers !== 'auto') expect(session.provider).toBe('cpu');
    }
    await expect(
      run(
        double,
        { x },
        {
          providers: ['coreml', 'dml'].slice(
            process.platform === 'darwin' ? 1 : 0,
            process.platform === 'win32' ? 1 : 2,
          ),
        },
      ),
    ).rejects.toMatchObject({ code: 'FEATX_DEVICE' });
  });

  test('a profile can be kept', async () => {
    await using model = await openModel(encodeModel({ graph: double }));
    await using session = await openSession(model, { profilePrefix: join(folder, 'profile') });
    expect(session.profile).toBeNull();
    await session.run(feeds({ x }));
    expect(session.profile).toMatch(/profile.*\.json$/);
  });

  test.each([false, true])('a profile that was begun and not finished is removed, isolated: %s', async (isolate) => {
    const own = mkdtempSync(join(folder, 'begun-'));
    await using model = await openModel(encodeModel({ graph: double }));
    const session = await openSession(model, { profilePrefix: join(own, 'begun'), isolate });
    const begun = readdirSync(own);
    await session.close();
    expect([begun.length, readdirSync(own)]).toEqual([1, []]);
  });
});
