import { declaredTypes, type TensorTypes } from '../onnx/types.js';
import { UNSORTED } from '../onnx/notes.js';
import { node, value, type GraphSpec } from '../testing/model-spec.js';
import { identity, planned, tapped, viewed } from '../testing/planning.js';
import { NO_STEPS, type Steps } from './steps.js';
import type { PlanOptions, Tap } from './tap.js';

const v = (name: string): ReturnType<typeof value> => value(name, ['N', 4]);

const CHAIN: GraphSpec = {
  nodes: [node('Relu', ['x'], ['a']), node('Neg', ['a'], ['b']), node('Abs', ['b'], ['y'])],
  inputs: [v('x')],
  outputs: [v('y')],
  valueInfo: [v('a'), v('b')],
};

describe('order', () => {
  const order = async (taps: readonly (Tap | string)[], asked: 'out' | 'exec'): Promise<readonly string[]> =>
    planned(await viewed(CHAIN), taps, { mode: 'list', order: asked }).outputs.map(({ tap }) => tap.tensors.join('+'));

  test('is that of the selection, or the one in which they are computed', async () => {
    const taps = ['b', 'a', 'x'];
    expect(await order(taps, 'out')).toEqual(taps);
    expect(await order(taps, 'exec')).toEqual(['x', 'a', 'b']);
    expect(await order(['a', 'x'], 'exec')).toEqual(['x', 'a']);
    expect(await order(['a', 'y', 'b'], 'exec')).toEqual(['a', 'b', 'y']);
  });

  test('counts the last of several tensors', async () => {
    const joined = tapped('a', { tensors: ['y', 'a'] });
    expect(await order([joined, 'b'], 'exec')).toEqual(['b', 'y+a']);
    expect(await order([tapped('a', { tensors: ['a', 'x'] }), 'b'], 'exec')).toEqual(['a+x', 'b']);
  });

  test('is that in which equals were selected', async () => {
    const [one, other] = [tapped('a', { index: 1 }), tapped('a', { index: 0 })];
    const { outputs } = planned(await viewed(CHAIN), ['b', one, other], { order: 'exec' });
    expect(outputs.map(({ output }) => output)).toEqual(['1', '0', 'b']);
  });

  test('of outputs: the features first, but a hook adds to what is there', async () => {
    const view = await viewed({ ...CHAIN, outputs: [v('y'), v('b')] });
    const outputs = (taps: readonly string[], options: Partial<PlanOptions>): readonly string[] =>
      (planned(view, taps, options).edit.outputs ?? []).map(({ name }) => name);
    expect(outputs(['b', 'a'], {})).toEqual(['b', 'a']);
    expect(outputs(['b', 'a'], { keepOutputs: true })).toEqual(['b', 'a', 'y']);
    expect(outputs(['b', 'a'], { mode: 'hook', rewrite: false })).toEqual(['y', 'b', 'a']);
  });
});

describe('names', () => {
  test('belong to tensors that there are', async () => {
    const view = await viewed(CHAIN);
    expect(() => planned(view, ['none', 'a'])).toThrow(
      expect.objectContaining({ code: 'FEATX_USAGE_TENSOR', message: "the main graph has no tensor 'none'" }),
    );
  });

  test('are as many as the features', async () => {
    const view = await viewed(CHAIN);
    expect(() => planned(view, ['a'], { outMap: ['p', 'q'] })).toThrow(
      expect.objectContaining({ code: 'FEATX_USAGE_OUT_MAP' }),
    );
    expect(() => planned(view, ['a', 'a'])).toThrow(expect.objectContaining({ code: 'FEATX_USAGE_DUPLICATE' }));
  });

  test('are such that a file can hold them', async () => {
    const view = await viewed(CHAIN);
    expect(() => planned(view, ['a'], { outMap: ['\ud800'] })).toThrow(
      "the output name '\ud800' holds half of a surrogate pair, which no file can hold",
    );
  });

  test('of new nodes are free', async () => {
    const [first, ...rest] = CHAIN.nodes ?? [];
    const view = await viewed({ ...CHAIN, nodes: [{ ...first, name: 'featx/Identity' }, ...rest] });
    expect(planned(view, [tapped('a', { index: 0 })]).edit.addNodes).toEqual([identity('a', '0', 1)]);
  });

  test('that are taken are not given, and that is said', async () => {
    const view = await viewed({ ...CHAIN, nodes: [node('Relu', ['x'], ['0']), node('Neg', ['0'], ['y'])] });
    const { outputs, warnings } = planned(view, [tapped('y', { index: 0 })]);
    expect(outputs[0].output).toBe('feature_0');
    expect(warnings).toEqual(["the name '0' is taken by another tensor; feature 0 is named 'feature_0'"]);
  });

  test('are the own ones of what no Identity takes', async () => {
    const view = await viewed(
      {
        nodes: [node('SequenceConstruct', ['x'], ['s']), node('SequenceLength', ['s'], ['y'])],
        inputs: [v('x')],
        outputs: [value('y', [], 'int64')],
        valueInfo: [{ name: 's', type: { sequence: { tensor: 'float32' } } }],
      },
      { opset: 13 },
    );
    const list = tapped('s', { dtype: null, shape: null });
    expect(planned(view, [list, tapped('y', { index: 0 })]).outputs.map(({ output }) => output)).toEqual(['s', '0']);
    expect(() => planned(view, [{ ...list, index: 0 }])).toThrow(
      expect.objectContaining({ code: 'FEATX_USAGE_ALIAS' }),
    );
  });
});

describe('types', () => {
  const view = viewed({ ...CHAIN, valueInfo: [] });

  test('are what is known', async () => {
    const types: TensorTypes = new Map([['a', { dtype: 'float16', shape: [2, null] }]]);
    expect(planned(await view, ['a'], {}, types).edit.outputs).toEqual([
      { name: 'a', borrow: null, type: { kind: 'tensor', elemType: 10, shape: [2, null] } },
    ]);
  });

  test('that are not known are said to be so', async () => {
    const { edit, warnings } = planned(await view, ['a'], {}, new Map());
    expect(edit.outputs).toEqual([{ name: 'a', borrow: null, type: null }]);
    expect(warnings).toEqual(["the type of the output 'a' is not known; only its name is written"]);
  });

  test.each(['bfloat16', 'int4', 'uint2', 'float8e5m2'])('that runtimes keep: %s', async (dtype) => {
    const { warnings } = planned(await viewed(CHAIN), [tapped('a', { dtype }), 'b', tapped('y', { dtype: null })]);
    expect(warnings).toEqual([`'a' leaves as ${dtype}, which onnxruntime-node and Python do not give back`]);
  });
});

describe('memory', () => {
  const GIB = 2 ** 30;
  const warnings = async (...taps: Partial<Tap>[]): Promise<readonly string[]> =>
    planned(
      await viewed(CHAIN),
      taps.map((more, at) => tapped(['a', 'b'][at], more)),
    ).warnings;
  const much = (count: number, size: string): string =>
    `these ${count} features take ${size} GiB of memory at once, more where their shapes are symbolic`;

  test.each<readonly [string, readonly Partial<Tap>[], readonly string[]]>([
    ['1 GiB', [{ dtype: 'uint8', shape: [GIB] }], []],
    ['a byte more', [{ dtype: 'uint8', shape: [GIB + 1] }], [much(1, '1.0')]],
    ['together', [{ shape: [GIB / 8] }, { shape: [GIB / 4] }], [much(2, '1.5')]],
    ['one beside the other', [{ shape: [GIB / 8] }, { shape: [GIB / 8] }], []],
    ['symbols, which are 1', [{ dtype: 'uint8', shape: ['N', null, GIB + 1] }], [much(1, '1.0')]],
    ['and no more', [{ dtype: 'uint8', shape: ['N', null, GIB] }], []],
    ['an open shape', [{ shape: null }, { shape: [GIB] }], [much(2, '4.0')]],
    [
      'what is not counted',
      [
        { dtype: 'string', shape: [4 * GIB] },
        { dtype: null, shape: [4 * GIB] },
      ],
      [],
    ],
    ['beside what is', [{ dtype: 'string', shape: [GIB] }, { shape: [GIB] }], [much(2, '4.0')]],
  ])('of %s', async (_what, taps, said) => {
    expect(await warnings(...taps)).toEqual(said);
  });
});

test('nodes that are not in order are warned of', async () => {
  const graph = { ...CHAIN, nodes: [...(CHAIN.nodes ?? [])].reverse() };
  const { edit, warnings } = planned(await viewed(graph), ['a', 'b'], { order: 'exec' });
  expect(warnings).toEqual([UNSORTED]);
  expect(edit.drop.nodes).toEqual([0]);
});

test('warnings stand in one order', async () => {
  const graph = { ...CHAIN, nodes: [...(CHAIN.nodes ?? [])].reverse(), valueInfo: [] };
  const tap = tapped('a', { dtype: 'int4', shape: [2 ** 32] });
  const view = await viewed(graph, { trainingInfo: [{ algorithm: {} }] });
  expect(planned(view, [tap], {}, new Map()).warnings.map((text) => text.replace(/[ :;].*/, ''))).toEqual([
    'the',
    'training_info',
    'the',
    'these',
    "'a'",
  ]);
});

describe('steps', () => {
  const TEXT: GraphSpec = {
    nodes: [node('Embed', ['ids'], ['h'], {}, { domain: 'nobody' }), node('Neg', ['h'], ['y'])],
    inputs: [value('ids', ['N', 'L'], 'int64'), value('mask', ['N', 'L'], 'int64'), v('spare')],
    outputs: [v('y')],
    valueInfo: [value('h', ['N', 'L', 8])],
  };
  const MEAN: Steps = { ...NO_STEPS, pool: { kind: 'mean', p: 3, mask: null } };
  const tokens = tapped('h', { index: 2, shape: ['N', 'L', 8], layout: 'NLC', numChs: 8 });

  test('keep the mask that they read', async () => {
    const { edit, outputs } = planned(await viewed(TEXT), [tokens], {
      steps: { ...MEAN, pool: { kind: 'mean', p: 3, mask: 'mask' } },
    });
    expect(edit.drop).toMatchObject({ inputs: [2], nodes: [1], valueInfo: [] });
    expect(edit.addNodes.flatMap(({ inputs }) => inputs)).toContain('mask');
    expect(outputs).toMatchObject([
      {
        output: '2',
        converted: true,
        shape: ['N', 8],
        before: { tensor: 'h', converted: false },
        steps: [{ step: 'pool', kind: 'mean', mask: 'mask' }],
      },
    ]);
  });

  test('find the mask that features depend on', async () => {
    const nodes = [node('Embed', ['ids', 'mask'], ['h'], {}, { domain: 'nobody' })];
    const { outputs, warnings } = planned(await viewed({ ...TEXT, nodes, outputs: [v('h')] }), [tokens], {
      steps: MEAN,
    });
    expect(outputs[0].steps).toEqual([{ step: 'pool', kind: 'mean', mask: 'mask' }]);
    expect(warnings).toEqual([]);
  });

  test('say that there is none', async () => {
    const { edit, warnings } = planned(await viewed(TEXT), [tokens], { steps: MEAN });
    expect(edit.drop.inputs).toEqual([1, 2]);
    expect(warnings).toEqual([
      expect.stringMatching(/^`pool: 'mean'`: no input says which tokens count, so that all do/),
    ]);
  });

  test('add what they need, and say what they do not do', async () => {
    const project = { rows: 4, columns: 1, weights: Float32Array.of(1, 2, 3, 4), mean: null };
    const view = await viewed(CHAIN);
    const tap = tapped('a', { done: [{ step: 'normalize' }] });
    const { edit, outputs, warnings } = planned(view, [tap], {
      steps: { ...NO_STEPS, project, normalize: true },
    });
    const bytes = new Uint8Array(Float32Array.of(1, 2, 3, 4).buffer);
    expect(edit.addInitializers).toEqual([{ name: 'featx/project', dims: [4, 1], dataType: 1, bytes }]);
    expect(edit.addNodes.map(({ opType }) => opType)).toEqual(['MatMul', 'Identity']);
    expect(outputs[0].steps).toEqual([{ step: 'project', rows: 4, columns: 1, mean: false }]);
    expect(warnings).toEqual([expect.stringContaining('which is not done again')]);
    expect(planned(view, [tap]).edit.addInitializers).toEqual([]);
  });

  test('join features in one, which says what it is made of', async () => {
    const taps = [tapped('a', { index: 0 }), tapped('b', { index: 1 })];
    const { outputs } = planned(await viewed(CHAIN), taps, { steps: { ...NO_STEPS, concat: 'linear' } });
    expect(outputs).toMatchObject([{ output: 'concat', parts: [{ tap: taps[0] }, { tap: taps[1] }] }]);
  });

  test('need an operator set that has them, which a cut without steps does not', async () => {
    const view = await viewed(CHAIN, { opset: 6 });
    expect(() => planned(view, ['a'], { steps: { ...NO_STEPS, flatten: true } })).toThrow(
      expect.objectContaining({ code: 'FEATX_OPSET' }),
    );
    expect(planned(view, ['a'], {}, declaredTypes(view.model)).outputs).toHaveLength(1);
  });
});
