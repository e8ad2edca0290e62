import type { GraphView } from '../onnx/graph.js';
import { option } from '../options/words.js';
import { PRESETS } from '../preprocessing/presets.js';
import { node, tensor, value, type GraphSpec } from '../testing/model-spec.js';
import { at, borrowed, carrying, editOf, identity, planned, tapped, viewed } from '../testing/planning.js';
import { bytes } from '../testing/wire-writer.js';
import { EMPTY_EDIT, NO_DROPS } from './edit.js';
import type { Pixels } from './pixels.js';
import { cutFeatures, type Plan } from './plan.js';

const v = (name: string): ReturnType<typeof value> => value(name, ['N', 4]);
const FLOATS = { kind: 'tensor', elemType: 1, shape: ['N', 4] } as const;

/** `x` -> `a` -> `b` -> `y`, with weights on the way. */
const CHAIN: GraphSpec = {
  nodes: [
    node('Relu', ['x'], ['a']),
    node('Mul', ['a', 'w'], ['b']),
    node('Add', ['b', 'beside'], ['c']),
    node('Mul', ['c', 'thin'], ['y']),
  ],
  inputs: [v('x'), v('beside'), value('w', [4])],
  outputs: [v('y')],
  initializers: [tensor('spare', [4], [1, 2, 3, 4]), tensor('w', [4], [1, 2, 3, 4])],
  sparseInitializers: [{ values: tensor('thin', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [4] }],
  valueInfo: [v('a'), v('b'), v('c')],
};

describe('a cut that begins inside', () => {
  test('has an input in the place of what it was computed from', async () => {
    const { edit, begun, renamed } = planned(await viewed(CHAIN), ['c'], { from: [at('a')] });
    expect(edit).toStrictEqual(
      editOf(
        [borrowed('valueInfo', 2, 'c')],
        { nodes: [0, 3], initializers: [0], sparseInitializers: [0], inputs: [0], valueInfo: [0, 2] },
        { addInputs: [{ name: 'a', type: FLOATS }] },
      ),
    );
    expect(begun).toStrictEqual({
      from: [{ ...at('a'), input: 'a', dtype: 'float32', shape: ['N', 4], source: 'node' }],
      inputsKept: ['beside'],
      inputsDropped: ['x'],
      folded: [],
    });
    expect(renamed).toEqual([]);
  });

  test('under another name, leads to it', async () => {
    const options = { from: [at('a')], inMap: new Map([['a', 'z']]) };
    const { edit, renamed } = planned(await viewed(CHAIN), ['b'], options);
    expect(edit.frontNodes).toEqual([{ ...identity('z', 'a'), attributes: [] }]);
    expect(edit.addInputs).toEqual([{ name: 'z', type: FLOATS }]);
    expect(renamed).toEqual([{ input: 'z', tensor: 'a' }]);
  });

  test('gives what the model does if nothing is selected', async () => {
    const { edit, outputs } = planned(await viewed(CHAIN), [], { from: [at('c')] });
    expect(edit).toStrictEqual(
      editOf(
        [borrowed('output', 0, 'y')],
        { nodes: [0, 1, 2], initializers: [0, 1], inputs: [0, 1, 2], valueInfo: [0, 1, 2] },
        { addInputs: [{ name: 'c', type: FLOATS }] },
      ),
    );
    expect(outputs).toEqual([]);
    expect(planned(await viewed(CHAIN), [], { from: [at('c')], whole: true }).edit).toStrictEqual(edit);
  });

  test('and stays a hook, prunes all the same', async () => {
    const options = { from: [at('b')], mode: 'hook', rewrite: false } as const;
    const { edit } = planned(await viewed(CHAIN), ['c'], options);
    expect(edit.outputs?.map(({ name }) => name)).toEqual(['y', 'c']);
    expect(edit.drop.nodes).toEqual([0, 1]);
  });

  test('begins at inputs and at weights', async () => {
    const from = [at('w'), at('thin'), at('x'), at('beside', { name: '2', index: 2, group: 'g', module: 'm' })];
    const { edit, begun } = planned(await viewed(CHAIN), [], { from });
    const sizes = (input: string): object => ({ ...at(input), input, dtype: 'float32' });
    expect(begun?.from).toStrictEqual([
      { ...sizes('w'), shape: [4], source: 'initializer' },
      { ...sizes('thin'), shape: [4], source: 'initializer' },
      { ...sizes('x'), shape: ['N', 4], source: 'input' },
      { ...sizes('beside'), ...from[3], shape: ['N', 4], source: 'input' },
    ]);
    expect([begun?.inputsKept, begun?.inputsDropped]).toEqual([['x', 'beside'], []]);
    expect(edit.drop).toStrictEqual({ ...NO_DROPS, initializers: [0, 1], sparseInitializers: [0], inputs: [2] });
    expect(edit.addInputs.map(({ name }) => name)).toEqual(['w', 'thin']);
  });

  test('at an output of the model names the input otherwise, if the output stays', async () => {
    const view = await viewed({ ...CHAIN, outputs: [v('y'), v('a')] });
    const taken = planned(view, ['b'], { from: [at('a')], keepOutputs: true, keepInputs: true });
    expect(taken.renamed).toEqual([{ input: 'a_input', tensor: 'a' }]);
    expect(taken.warnings).toEqual([
      "'a' is an output of the model too; the input that takes its place is named 'a_input'",
    ]);
    const free = planned(view, ['b'], { from: [at('a')] });
    expect([free.renamed, free.warnings]).toEqual([[], []]);
  });

  test('warns of shapes that are not known', async () => {
    const graph = { ...CHAIN, valueInfo: [value('a', null)] };
    const { warnings } = planned(await viewed(graph), ['y'], { from: [at('a')] });
    expect(warnings).toEqual(["the shape of the input 'a' is not known; it is left open"]);
  });

  test('cannot do without what goes round it', async () => {
    const view = await viewed({ ...CHAIN, nodes: [...(CHAIN.nodes ?? []), node('Sum', ['a', 'b'], ['z'])] });
    const from = [at('b')];
    expect(() => planned(view, ['z'], { from })).toThrow(expect.objectContaining({ code: 'FEATX_FROM_UNCOVERED' }));
    expect(planned(view, ['z'], { from, keepInputs: true }).begun).toMatchObject({
      inputsKept: ['x'],
      inputsDropped: ['beside'],
    });
  });

  test('is told the fewest tensors that would hold that up', async () => {
    const graph: GraphSpec = {
      nodes: [
        node('Relu', ['x'], ['a']),
        node('Neg', ['a'], ['b']),
        node('Exp', ['a'], ['p']),
        node('Sub', ['p', 'x'], ['round']),
        node('Add', ['b', 'round'], ['sum']),
        node('DynamicQuantizeLinear', ['sum'], ['codes', 'scale', 'zero']),
      ],
      inputs: [v('x')],
      outputs: [value('codes', ['N', 4], 'uint8')],
    };
    const view = await viewed(graph);
    for (const zeroPoint of ['zero', '']) {
      const codes = { scale: null, zeroPoint: null, tensors: { scale: 'scale', zeroPoint } };
      expect(() => planned(view, [tapped('codes', { codes, asValue: true })], { from: [at('b')] })).toThrow(
        expect.objectContaining({
          code: 'FEATX_FROM_UNCOVERED',
          hint: expect.stringContaining(`${option('from', ['round'])},`),
        }),
      );
    }
  });

  test('has one name per output of a node that stays for another', async () => {
    const graph: GraphSpec = {
      nodes: [node('Split', ['x'], ['l', 'r'], { axis: { int: 1 } }), node('Add', ['l', 'r'], ['y'])],
      inputs: [v('x')],
      outputs: [v('y')],
      valueInfo: [value('l', ['N', 2]), value('r', ['N', 2])],
    };
    const { edit } = planned(await viewed(graph), ['y'], { from: [at('l')], keepInputs: true });
    expect(edit.rename).toEqual([{ node: 0, list: 'output', at: 0, name: 'l_unused' }]);
    expect(edit.drop.nodes).toEqual([]);
  });

  test('takes sizes of what lies in front of it from itself', async () => {
    const graph: GraphSpec = {
      nodes: [
        node('Relu', ['x'], ['a']),
        node('Shape', ['x'], ['size']),
        node('Neg', ['a'], ['b']),
        node('Reshape', ['b', 'size'], ['y']),
      ],
      inputs: [v('x')],
      outputs: [v('y')],
      valueInfo: [v('a'), v('b')],
    };
    const view = await viewed(graph, {
      opset: [['nobody', 1]],
      irVersion: 8,
    });
    const { edit, begun } = planned(view, ['y'], { from: [at('b')] });
    expect(begun?.folded).toEqual([
      { node: view.model.graph.nodes[1], of: 'x', dims: ['N', 4], sizes: [{ tensor: 'b', axis: 0 }, 4] },
    ]);
    expect(begun?.inputsDropped).toEqual(['x']);
    expect(edit.frontNodes.at(-1)?.outputs).toEqual(['size']);
    expect(edit.drop.nodes).toEqual([0, 1, 2]);
    expect(edit.addOpsetImports).toEqual([{ domain: '', version: 17 }]);
  });

  test('has no names of what it leaves out', async () => {
    const view = await viewed(CHAIN);
    const inMap = new Map([['x', 'other']]);
    for (const options of [{ inMap, from: [at('a')] }, { inMap: new Map([['beside', 'other']]) }])
      expect(() => planned(view, ['b'], options)).toThrow(
        expect.objectContaining({ code: 'FEATX_USAGE_IN_MAP', message: expect.stringContaining('is not an input') }),
      );
    expect(planned(view, ['b'], { inMap }).renamed).toEqual([{ input: 'other', tensor: 'x' }]);
  });
});

test('pixels go through nodes in front', async () => {
  const picture = value('x', ['N', 3, 8, 8]);
  const graph: GraphSpec = {
    nodes: [node('Relu', ['x'], ['a'])],
    inputs: [picture, value('other', ['N', 3, 8, 8])],
    outputs: [value('a', ['N', 3, 8, 8])],
  };
  const recipe: Pixels['recipe'] = { ...PRESETS.imagenet, scale: 0.5, mean: null, std: null, channels: 'rgb' };
  const pixels: Pixels = { layout: 'NHWC', channels: 'rgb', resize: null, from: 'flags', recipe };
  const { edit, pixels: record } = planned(await viewed(graph), ['a'], { pixels });
  expect(record).toMatchObject({ input: 'pixels', tensor: 'x', scale: 0.5, from: 'flags' });
  expect(edit.drop.inputs).toEqual([0, 1]);
  expect(edit.addInputs.map(({ name, replaces }) => [name, replaces])).toEqual([['pixels', 0]]);
  expect(edit.frontNodes.at(-1)?.outputs).toEqual(['x']);
});

describe('sizes', () => {
  const hint =
    'the exporter wrote other sizes into the graph: export the model with these, or give those that it was exported with';
  const fault = (view: GraphView, at: number, reason: string) => ({ node: view.model.graph.nodes[at], reason });
  const named = viewed({
    ...CHAIN,
    nodes: (CHAIN.nodes ?? []).map((each, index) => (index === 1 ? { ...each, name: 'times' } : each)),
  });

  test('that a node does not take are refused', async () => {
    const view = await named;
    const [plain, called] = [fault(view, 0, 'it has 3'), fault(view, 1, 'it has 5')];
    const refused = (faults: readonly (typeof plain)[], message: string, taps = ['b']): void =>
      expect(() => planned(view, taps, { sizes: { types: [], faults } })).toThrow(
        expect.objectContaining({ name: 'UnsupportedModelError', code: 'FEATX_DIM_BAKED', message, hint }),
      );
    refused([plain], 'these sizes do not go through node[0] Relu: it has 3');
    refused([called], "these sizes do not go through node[1] Mul 'times': it has 5");
    refused([called, plain], "these sizes do not go through node[1] Mul 'times': it has 5 (and 1 more)");
    refused([called, plain], 'these sizes do not go through node[0] Relu: it has 3', ['a']);
  });

  test('are taken where the node is cut away, but a hook has them all', async () => {
    const view = await viewed({ ...CHAIN, nodes: [...(CHAIN.nodes ?? []), node('Exp', ['x'], ['idle'])] });
    const [of] = view.model.graph.inputs;
    const types = [{ of, type: { kind: 'tensor', elemType: 1, shape: [7, 4] } as const }];
    const sizes = { types, faults: [fault(view, 4, 'it has 3')] };
    expect(planned(view, ['a'], { sizes }).edit.types).toEqual(types);
    expect(planned(view, ['a']).edit.types).toEqual([]);
    expect(() => planned(view, ['a'], { sizes, mode: 'hook', rewrite: false })).toThrow('node[4] Exp: it has 3');
  });
});

describe('features of a cut', () => {
  const ALL = ['x', 'beside', 'w', 'spare', 'thin', 'a', 'b', 'c', 'y', null, 'nowhere'];
  const kept = (view: GraphView, { edit }: Pick<Plan, 'edit'>): readonly (string | null)[] =>
    cutFeatures(view, carrying(ALL), edit).flatMap(({ tensor, index }) => {
      expect([ALL[index], null]).toContain(tensor);
      return tensor === null ? [] : [tensor];
    });

  test('are those that it still has', async () => {
    const view = await viewed(CHAIN);
    expect(kept(view, { edit: EMPTY_EDIT })).toEqual(ALL.slice(0, -2));
    expect(kept(view, planned(view, ['b']))).toEqual(['x', 'w', 'a', 'b']);
    expect(kept(view, planned(view, ['c']))).toEqual(['x', 'beside', 'w', 'a', 'b', 'c']);
    expect(kept(view, planned(view, ['y']))).toEqual(['x', 'beside', 'w', 'thin', 'a', 'b', 'c', 'y']);
  });

  test('are given where it begins, under any name', async () => {
    const view = await viewed(CHAIN);
    expect(kept(view, planned(view, ['c'], { from: [at('b')] }))).toEqual(['beside', 'b', 'c']);
    const inMap = new Map([
      ['b', 'p'],
      ['beside', 'q'],
    ]);
    expect(kept(view, planned(view, ['c'], { from: [at('b')], inMap }))).toEqual(['beside', 'b', 'c']);
    expect(kept(view, planned(view, ['b'], { from: [at('w')] }))).toEqual(['x', 'w', 'a', 'b']);
  });

  test('keep all else that is said of them', async () => {
    const view = await viewed(CHAIN);
    const features = carrying(['y', 'a']);
    expect(cutFeatures(view, features, planned(view, ['a']).edit)).toEqual([
      { ...features[0], tensor: null },
      features[1],
    ]);
  });

  test('say nothing of weights that hold nothing', async () => {
    const view = await viewed({ ...CHAIN, extra: [bytes(15, new Uint8Array(0), {})] });
    const edit = { ...EMPTY_EDIT, drop: { ...NO_DROPS, sparseInitializers: [0, 1] } };
    expect(kept(view, { edit })).toEqual(ALL.slice(0, -2).filter((name) => name !== 'thin'));
  });
});

test('a tap of a tensor that the cut begins with leaves it as it came', async () => {
  const view = await viewed(CHAIN);
  const { edit, outputs } = planned(view, [tapped('a', { index: 0 }), 'b'], { from: [at('a')] });
  expect(edit.addNodes).toEqual([identity('a', '0')]);
  expect(outputs.map(({ output }) => output)).toEqual(['0', 'b']);
  const list = planned(view, ['a', 'b'], { from: [at('a')], mode: 'list' });
  expect(list.edit.addNodes).toEqual([identity('a', 'a_feature')]);
  expect(list.outputs.map(({ output }) => output)).toEqual(['a_feature', 'b']);
});
