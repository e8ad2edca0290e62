import type { TensorValue } from './onnx/tensor-value.js';
import { FeatureDictNet, FeatureHookNet, FeatureListNet, type NetOptions } from './nets.js';
import { openModel } from './open.js';
import { openSession } from './runtime/open-session.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, weights, type NodeSpec } from './testing/model-spec.js';

const STRIDED = { kernel_shape: { ints: [3, 3] }, strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } } as const;
const conv = (module: string, from: string, attributes: NodeSpec['attributes'] = STRIDED): NodeSpec =>
  node('Conv', [from, `${module}.weight`], [`/features/${module}/Conv_output_0`], attributes, {
    name: `/features/${module}/Conv`,
  });

/**
 * A Sequential `features`: a convolution, an activation, a convolution, a split in two, and an addition; then a head.
 */
const MODEL = encodeModel({
  producer: ['pytorch', '2.13.0'],
  graph: {
    inputs: [value('x', ['n', 3, 16, 16])],
    outputs: [value('y', ['n', 4])],
    initializers: [
      weights('features.0.weight', [4, 3, 3, 3], 1),
      weights('features.2.weight', [8, 4, 3, 3], 2),
      weights('head.weight', [4, 4], 3),
      tensor('head.bias', [4], [0, 1, 2, 3]),
    ],
    nodes: [
      conv('features.0', 'x'),
      node(
        'Relu',
        ['/features/features.0/Conv_output_0'],
        ['/features/features.1/Relu_output_0'],
        {},
        { name: '/features/features.1/Relu' },
      ),
      conv('features.2', '/features/features.1/Relu_output_0'),
      node(
        'Split',
        ['/features/features.2/Conv_output_0'],
        ['left', 'right'],
        { axis: { int: 1 } },
        { name: '/features/features.3/Split' },
      ),
      node('Add', ['left', 'right'], ['/features/features.4/Add_output_0'], {}, { name: '/features/features.4/Add' }),
      node(
        'GlobalAveragePool',
        ['/features/features.4/Add_output_0'],
        ['pooled'],
        {},
        { name: '/pool/GlobalAveragePool' },
      ),
      node('Flatten', ['pooled'], ['flat'], {}, { name: '/pool/Flatten' }),
      node('Gemm', ['flat', 'head.weight', 'head.bias'], ['y'], {}, { name: '/head/Gemm' }),
    ],
  },
});
const FIRST = '/features/features.0/Conv_output_0';
const SECOND = '/features/features.2/Conv_output_0';
const ENTRIES = [
  { num_chs: 4, reduction: 2, module: 'features.0' },
  { num_chs: 8, reduction: 4, module: 'features.2' },
  { num_chs: 4, reduction: 4, module: 'features.3' },
];
const given = (...more: readonly object[]): Pick<NetOptions, 'resolve'> => ({
  resolve: { explicit: ENTRIES.map((entry, index) => ({ ...entry, ...more[index] })) },
});
const x: TensorValue = {
  dtype: 'float32',
  shape: [2, 3, 16, 16],
  data: Float32Array.from({ length: 2 * 3 * 256 }, (_value, index) => Math.sin(index)),
};

/** What the whole network computes for a tensor. */
async function valueOf(...outputs: readonly string[]): Promise<readonly (TensorValue | undefined)[]> {
  await using model = await openModel(MODEL);
  await using session = await openSession(model, { outputs: [...new Set([...outputs, 'y'])] });
  const results = await session.run(new Map([['x', x]]));
  return outputs.map((name) => results.get(name));
}

describe('a dict', () => {
  test('has an entry per index as text, in the order of outIndices', async () => {
    await using net = await FeatureDictNet.create(MODEL, { ...given(), outIndices: [-2, 0] });
    expect([...(await net.forward(x))]).toEqual([
      ['1', (await valueOf(SECOND))[0]],
      ['0', (await valueOf(FIRST))[0]],
    ]);
    expect(net.featureInfo.outIndices).toEqual([1, 0]);
    expect(net.featureInfo.channels()).toEqual([8, 4]);
    expect(net.featureInfo.channels([0, 1, 2])).toEqual([4, 8, 4]);
    expect([net.provider, net.inputs.map(({ name }) => name), net.warnings]).toEqual(['cpu', ['x'], []]);
  });

  test('has the names of outMap, numbers as text', async () => {
    await using net = await FeatureDictNet.create(MODEL, { ...given(), outIndices: 2, outMap: ['p4', 5] });
    expect([...(await net.forward({ x })).keys()]).toEqual(['p4', '5']);
    expect(net.featureInfo.outIndices).toEqual([1, 2]);
    await expect(FeatureDictNet.create(MODEL, { ...given(), outMap: ['p4'] })).rejects.toMatchObject({
      name: 'UsageError',
    });
  });
});

test('a list is in the order of outIndices', async () => {
  await using net = await FeatureListNet.create(MODEL, { ...given(), outIndices: [1, 0] });
  expect(await net.forward(new Map([['x', x]]))).toEqual(await valueOf(SECOND, FIRST));
});

test('featureConcat: all outputs of a module on axis 1, else the first', async () => {
  const [left, both] = await valueOf('left', SECOND);
  await using first = await FeatureListNet.create(MODEL, { ...given(), outIndices: [2] });
  expect(await first.forward(x)).toEqual([left]);
  await using all = await FeatureListNet.create(MODEL, { ...given(), outIndices: [2], featureConcat: true });
  expect(await all.forward(x)).toEqual([both]);
});

test('outputFmt: every feature in that layout', async () => {
  await using net = await FeatureListNet.create(MODEL, { ...given(), outIndices: [0], outputFmt: 'NHWC' });
  const [[got], [map]] = [await net.forward(x), await valueOf(FIRST)];
  expect(got.shape).toEqual([2, 8, 8, 4]);
  expect([got.data[1], got.data[4]]).toEqual([map?.data[64], map?.data[1]]);
});

describe('hooks', () => {
  test('an array of what the modules hand on', async () => {
    await using net = await FeatureHookNet.create(MODEL, { ...given(), outIndices: [1, 0] });
    expect(await net.forward(x)).toEqual(await valueOf(SECOND, FIRST));
  });

  test('returnDict: by outMap, else by module, else by tensor', async () => {
    const keys = async (options: NetOptions): Promise<readonly string[]> => {
      await using net = await FeatureHookNet.create(MODEL, { ...options, returnDict: true });
      const features = await net.forward(x);
      return features instanceof Map ? [...features.keys()] : [];
    };
    expect(await keys({ ...given(), outIndices: [1, 0] })).toEqual(['features.2', 'features.0']);
    expect(await keys({ ...given(), outIndices: [1, 0], outMap: ['b', 3] })).toEqual(['b', '3']);
    expect(
      await keys({
        select: [
          { by: 'tensor', name: 'left' },
          { by: 'module', name: 'features.1' },
        ],
      }),
    ).toEqual(['left', 'features.1']);
    expect(
      await keys({ ...given({}, { module: 'features.0', num_chs: 4, reduction: 2 }), outIndices: [0, 1] }),
    ).toEqual(['features.0', 'feature_1']);
  });

  test('hook_type: an entry that says forward_pre gives the input of its module', async () => {
    await using net = await FeatureHookNet.create(MODEL, {
      ...given({}, { hook_type: 'forward_pre' }),
      outIndices: [0, 1],
    });
    expect(await net.forward(x)).toEqual(await valueOf(FIRST, '/features/features.1/Relu_output_0'));
  });

  test('defaultHookType: for entries that do not say', async () => {
    await using net = await FeatureHookNet.create(MODEL, {
      ...given({ hook_type: 'forward' }),
      outIndices: [0, 1],
      defaultHookType: 'forward_pre',
    });
    expect(await net.forward(x)).toEqual(await valueOf(FIRST, '/features/features.1/Relu_output_0'));
  });

  test('defaultHookType: for features that featx found itself, and no module without a name', async () => {
    const path = 'fixtures/timm/test_resnet.ts.onnx';
    await using before = await FeatureHookNet.create(path, { outIndices: [2], defaultHookType: 'forward_pre' });
    await using after = await FeatureHookNet.create(path, { outIndices: [1] });
    const input: TensorValue = {
      dtype: 'float32',
      shape: [2, 3, 96, 96],
      data: Float32Array.from({ length: 2 * 3 * 96 * 96 }, (_value, index) => Math.cos(index)),
    };
    // What layer2 reads is what layer1 hands on.
    expect(await before.forward(input)).toEqual(await after.forward(input));
    await expect(
      FeatureHookNet.create('fixtures/zoo/resnet18.anon.onnx', { outIndices: [2], defaultHookType: 'forward_pre' }),
    ).rejects.toMatchObject({
      name: 'ResolveError',
      message: expect.stringContaining('does not name its module'),
      hint: expect.stringContaining('leave it out of `outIndices`'),
    });
  });

  test('noRewrite: the whole network, unless the features are all that is wanted', async () => {
    const needed = encodeModel({
      graph: {
        inputs: [value('x', ['n', 3, 16, 16]), value('z', [1])],
        outputs: [value('y', null, null)],
        initializers: [weights('features.0.weight', [4, 3, 3, 3], 1)],
        nodes: [conv('features.0', 'x'), node('Add', [FIRST, 'z'], ['y'], {}, { name: '/head/Add' })],
      },
    });
    const named = [{ by: 'tensor', name: FIRST }] as const;
    await using whole = await FeatureHookNet.create(needed, { select: named });
    expect(whole.inputs.map(({ name }) => name)).toEqual(['x', 'z']);
    await using part = await FeatureHookNet.create(needed, { select: named, noRewrite: false });
    expect(part.inputs.map(({ name }) => name)).toEqual(['x']);
    expect(await part.forward(x)).toEqual(await valueOf(FIRST));
  });

  test('flattenSequential: needs a rewrite, and renames what it reports', async () => {
    await using net = await FeatureHookNet.create(MODEL, {
      ...given(),
      outIndices: [1],
      flattenSequential: true,
      returnDict: true,
    });
    expect([...(await net.forward(x)).keys()]).toEqual(['features_2']);
    await expect(
      FeatureHookNet.create(MODEL, { ...given(), flattenSequential: true, noRewrite: true }),
    ).rejects.toMatchObject({ name: 'UsageError', hint: expect.stringContaining('noRewrite: false') });
  });
});

describe('what is given to forward', () => {
  const two = encodeModel({
    graph: {
      inputs: [value('a', [2]), value('b', [2])],
      outputs: [value('y', null, null)],
      nodes: [node('Add', ['a', 'b'], ['y'])],
    },
  });
  const a: TensorValue = { dtype: 'float32', shape: [2], data: Float32Array.of(1, 2) };

  test('one tensor is not enough for two inputs', async () => {
    await using net = await FeatureListNet.create(two, { select: [{ by: 'tensor', name: 'y' }] });
    await expect((async () => net.forward(a))()).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining('2 inputs (a, b)'),
    });
    expect(await net.forward({ a, b: a })).toEqual([{ ...a, data: Float32Array.of(2, 4) }]);
    await expect((async () => net.forward({ a }))()).rejects.toMatchObject({
      name: 'UsageError',
      message: expect.stringContaining("'b' is not given"),
    });
  });

  test('nothing runs on a net that was disposed of', async () => {
    const net = await FeatureListNet.create(two, { select: [{ by: 'tensor', name: 'y' }] });
    await net.dispose();
    await expect(net.forward({ a, b: a })).rejects.toMatchObject({ code: 'FEATX_RUNTIME_CLOSED' });
  });
});
