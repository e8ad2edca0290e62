import { viewGraph } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import { encodeModel } from '../testing/model-builder.js';
import {
  node,
  tensor,
  value,
  type FunctionSpec,
  type GraphSpec,
  type ModelSpec,
  type NodeSpec,
} from '../testing/model-spec.js';
import { Constants } from './constants.js';
import { inferGraph, type Inference, type InferenceOptions } from './infer.js';
import { Formula } from './formula.js';
import { filled, isTensor } from './info.js';
import { tensorTypeOf } from './tensor-type.js';

type More = Partial<GraphSpec> & Omit<ModelSpec, 'graph'> & { readonly options?: InferenceOptions };

const IMAGE = value('x', ['N', 3, 'H', 'W']);

async function inferred(nodes: readonly NodeSpec[], more: More = {}): Promise<Inference> {
  const { initializers, valueInfo, inputs, outputs, sparseInitializers, options, ...model } = more;
  const graph: GraphSpec = { inputs: inputs ?? [IMAGE], outputs, nodes, initializers, valueInfo, sparseInitializers };
  await using indexed = await indexModel(encodeModel({ ...model, graph }));
  return inferGraph(viewGraph(indexed), await Constants.of(indexed), options);
}

/** `dtype[dims]` of a tensor. */
function text({ infos }: Inference, name = 'y'): string {
  const info = infos.get(name);
  if (info === undefined) return '?';
  const { dtype, shape, type } = tensorTypeOf(info);
  if (type !== undefined) return type;
  return `${dtype}[${shape?.map((dim) => dim ?? '?').join(', ') ?? '...'}]`;
}

const ints = (name: string, values: readonly number[]) => tensor(name, [values.length], values, 'int64');
const conv = (from: string, to: string): NodeSpec =>
  node('Conv', [from, 'w'], [to], { strides: { ints: [2, 2] }, pads: { ints: [1, 1, 1, 1] } });

describe('shape arithmetic', () => {
  test('five halvings of a picture', async () => {
    const names = ['x', 'a', 'b', 'c', 'd', 'y'];
    const inference = await inferred(
      names.slice(1).map((name, index) => conv(names[index], name)),
      { initializers: [tensor('w', [3, 3, 3, 3], filled(81, 0))] },
    );
    expect(text(inference)).toBe('float32[N, 3, ceil(H/32), ceil(W/32)]');
  });

  test.each([
    [[2, 3], 'float32[2, 3]'],
    [[0, 3], 'float32[0, ?]'],
  ])('a Reshape of %j to [copied, unknown]: of no elements, any number is left', async (dims, expected) => {
    const inference = await inferred(
      [node('Concat', ['copied', 'n'], ['target'], { axis: { int: 0 } }), node('Reshape', ['x', 'target'], ['y'])],
      { inputs: [value('x', dims), value('n', [1], 'int64')], initializers: [ints('copied', [0])] },
    );
    expect(text(inference)).toBe(expected);
  });

  test('tokens of a transformer, through Shape, Gather, Concat and Reshape', async () => {
    const inference = await inferred(
      [
        node('Shape', ['x'], ['s']),
        node('Gather', ['s', 'zero'], ['n']),
        node('Unsqueeze', ['n', 'axis'], ['n1']),
        node('Concat', ['n1', 'rest'], ['target'], { axis: { int: 0 } }),
        node('Reshape', ['x', 'target'], ['y']),
      ],
      { initializers: [tensor('zero', [], [0], 'int64'), ints('axis', [0]), ints('rest', [3, -1])] },
    );
    expect(text(inference)).toBe('float32[N, 3, H*W]');
  });

  test('a pad to whole windows, as Swin has it', async () => {
    const inference = await inferred(
      [
        node('Shape', ['x'], ['h'], { start: { int: 2 }, end: { int: 3 } }),
        node('Mod', ['h', 'seven'], ['m']),
        node('Sub', ['seven', 'm'], ['r']),
        node('Mod', ['r', 'seven'], ['p']),
        node('Concat', ['zeros', 'p', 'one'], ['pads'], { axis: { int: 0 } }),
        node('Pad', ['x', 'pads'], ['y']),
      ],
      { initializers: [ints('seven', [7]), ints('zeros', [0, 0, 0, 0, 0, 0]), ints('one', [1])] },
    );
    expect(text(inference)).toBe('float32[N, 3, 7*ceil(H/7), W + 1]');
  });

  test('sizes in floats: Cast, Div, Floor, Cast', async () => {
    const inference = await inferred(
      [
        node('Shape', ['x'], ['s'], { start: { int: 2 } }),
        node('Cast', ['s'], ['f'], { to: { int: 1 } }),
        node('Div', ['f', 'four'], ['q']),
        node('Floor', ['q'], ['g']),
        node('Cast', ['g'], ['hw'], { to: { int: 7 } }),
        node('ConstantOfShape', ['hw'], ['y']),
      ],
      { initializers: [tensor('four', [], [4])] },
    );
    expect(text(inference)).toBe('float32[floor(H/4), floor(W/4)]');
  });

  test('the count of a NonZero keeps its identity', async () => {
    const inference = await inferred([
      node('NonZero', ['x'], ['i']),
      node('Shape', ['i'], ['s'], { start: { int: 1 } }),
      node('ConstantOfShape', ['s'], ['a']),
      node('Cast', ['i'], ['j'], { to: { int: 1 } }),
      node('Sub', ['j', 'a'], ['y']),
    ]);
    const [i, y] = ['i', 'y'].map((name) => inference.infos.get(name));
    const counts = [i, y].map((info) => (isTensor(info) ? info.shape?.[1] : null));
    expect([text(inference, 'i'), text(inference)]).toEqual(['int64[4, ?]', 'float32[4, ?]']);
    expect(counts[0]).toBeInstanceOf(Formula);
    expect(counts[0]).toBe(counts[1]);
  });

  test('a formula in a dim_param of an input', async () => {
    const inputs = [value('a', ['B', 'past + seq']), value('b', ['B', 'past']), value('c', ['B', 'seq'])];
    const inference = await inferred(
      [node('Concat', ['b', 'c'], ['d'], { axis: { int: 1 } }), node('Add', ['a', 'd'], ['y'])],
      { inputs },
    );
    expect(text(inference)).toBe('float32[B, past + seq]');
  });

  test('numbers for symbols', async () => {
    const options = {
      inputShapes: new Map([['x', [2, 3, 10, 12]]]),
      symbols: new Map([
        ['N', 2],
        ['H', 10],
        ['W', 12],
      ]),
    };
    const inference = await inferred([node('Flatten', ['x'], ['y'])], { options });
    expect(text(inference)).toBe('float32[2, 360]');
  });
});

describe('nodes of one operator behind each other', () => {
  test('are each what their own inputs make of them', async () => {
    const inference = await inferred(
      [
        node('Relu', ['x'], ['a']),
        node('Relu', ['a'], ['b']),
        node('Relu', ['i'], ['c']),
        node('Add', ['a', 'b'], ['d']),
        node('Add', ['a', 'wide'], ['e']),
        node('Add', ['b', 'wide'], ['f']),
        node('Shape', ['x'], ['g']),
        node('Shape', ['a'], ['h']),
        node('Split', ['v'], ['p', 'q']),
        node('Split', ['v'], ['r', 's', 't']),
      ],
      {
        opset: 18,
        inputs: [IMAGE, value('i', ['N', 3, 'H', 'W'], 'float16'), value('v', [6])],
        initializers: [tensor('wide', [5, 1, 1, 1, 1], filled(5, 1))],
      },
    );
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'p', 'q', 'r', 's', 't'];
    expect(names.map((name) => `${name} ${text(inference, name)}`)).toEqual([
      'a float32[N, 3, H, W]',
      'b float32[N, 3, H, W]',
      'c float16[N, 3, H, W]',
      'd float32[N, 3, H, W]',
      'e float32[5, N, 3, H, W]',
      'f float32[5, N, 3, H, W]',
      'g int64[4]',
      'h int64[4]',
      'p float32[3]',
      'q float32[3]',
      'r float32[2]',
      's float32[2]',
      't float32[2]',
    ]);
  });

  test('make unknown sizes of their own', async () => {
    const inference = await inferred(
      [
        node('NonZero', ['x'], ['a']),
        node('NonZero', ['x'], ['b']),
        node('Compress', ['v', 'yes'], ['c']),
        node('Compress', ['v', 'yes'], ['d']),
      ],
      { inputs: [IMAGE, value('v', [6]), value('yes', ['k'], 'bool')] },
    );
    for (const [one, other] of ['ab', 'cd']) {
      const [a, b] = [one, other].map((name) => inference.infos.get(name));
      expect(isTensor(a) && isTensor(b) && a.shape?.length === b.shape?.length).toBe(true);
      expect(isTensor(a) && isTensor(b) && a.shape?.at(-1) === b.shape?.at(-1)).toBe(false);
    }
  });

  test('are each at fault', async () => {
    const { gaps } = await inferred([node('MatMul', ['v', 'w'], ['a']), node('MatMul', ['v', 'w'], ['y'])], {
      inputs: [value('v', [2, 3]), value('w', [4, 5])],
    });
    expect(gaps.map((gap) => gap.node.index)).toEqual([0, 1]);
  });
});

describe('what a run could contradict is not said', () => {
  const pool = (to: string, isCeil: boolean): NodeSpec =>
    node('MaxPool', ['x'], [to], {
      kernel_shape: { ints: [2, 2] },
      strides: { ints: [2, 2] },
      ceil_mode: { int: Number(isCeil) },
    });

  test('of sizes that round in two ways the one that is right at small sizes too', async () => {
    const inference = await inferred([pool('a', false), pool('b', true), node('Add', ['a', 'b'], ['y'])]);
    expect(text(inference)).toBe('float32[N, 3, ceil(H/2), ceil(W/2)]');
  });

  test.each<[string, 'int32' | 'int64', number, readonly NodeSpec[]]>([
    ['300 as uint8', 'int64', 300, [node('Cast', ['k'], ['n0'], { to: { int: 2 } })]],
    ['70001 * 70001 as int32', 'int32', 70_001, [node('Mul', ['k', 'k'], ['n0'])]],
  ])('a value that leaves its dtype: %s', async (_name, dtype, number, nodes) => {
    const inference = await inferred(
      [...nodes, node('Cast', ['n0'], ['n'], { to: { int: 7 } }), node('Expand', ['v', 'n'], ['y'])],
      { inputs: [value('v', [1])], initializers: [tensor('k', [1], [number], dtype)] },
    );
    expect(text(inference)).toBe('float32[?]');
  });

  test.each([
    [41, 'float32[?]'],
    [4, 'float32[n]'],
  ])('floats: n / %d * %d is n only if it is exact', async (divisor, expected) => {
    const inference = await inferred(
      [
        node('Shape', ['v'], ['s']),
        node('Cast', ['s'], ['f'], { to: { int: 1 } }),
        node('Div', ['f', 'c'], ['d']),
        node('Mul', ['d', 'c'], ['m']),
        node('Cast', ['m'], ['i'], { to: { int: 7 } }),
        node('ConstantOfShape', ['i'], ['y']),
      ],
      { inputs: [value('v', ['n'])], initializers: [tensor('c', [1], [divisor])] },
    );
    expect(text(inference)).toBe(expected);
  });

  test.each([
    [1, 'float32[?, ?]'],
    [0, 'float32[n, ?]'],
  ])('a Reshape to [n - %d, -1], where 0 copies a dim', async (less, expected) => {
    const inference = await inferred(
      [
        node('Shape', ['v'], ['s']),
        node('Sub', ['s', 'less'], ['n']),
        node('Concat', ['n', 'rest'], ['target'], { axis: { int: 0 } }),
        node('Reshape', ['w', 'target'], ['y']),
      ],
      {
        inputs: [value('v', ['n']), value('w', [4, 6])],
        initializers: [ints('less', [less]), ints('rest', [-1])],
      },
    );
    expect(text(inference).replace('floor(24/n)', '?')).toBe(expected);
  });
});

describe('bodies', () => {
  const branch = (made: NodeSpec): GraphSpec => ({ nodes: [made], outputs: [value('out')] });
  const relu = node('Relu', ['x'], ['out']);
  const pooled = node('GlobalMaxPool', ['x'], ['out']);
  const condition = tensor('c', [], [1], 'bool');

  test('If: a constant condition takes its branch', async () => {
    const choose = node('If', ['c'], ['y'], {
      then_branch: { graph: branch(pooled) },
      else_branch: { graph: branch(relu) },
    });
    expect(text(await inferred([choose], { initializers: [condition] }))).toBe('float32[N, 3, 1, 1]');
  });

  test('If: what the branches share, and nothing of an impossible one', async () => {
    const open = value('c', [], 'bool');
    const both = (other: NodeSpec): NodeSpec =>
      node('If', ['c'], ['y'], { then_branch: { graph: branch(pooled) }, else_branch: { graph: branch(other) } });
    expect(text(await inferred([both(relu)], { inputs: [IMAGE, open] }))).toBe('float32[N, 3, ?, ?]');
    const impossible = node('Concat', ['x'], ['out'], { axis: { int: 9 } });
    expect(text(await inferred([both(impossible)], { inputs: [IMAGE, open] }))).toBe('float32[N, 3, 1, 1]');
  });

  test('Loop: a state that grows, one that stays, and what is stacked', async () => {
    const body: GraphSpec = {
      inputs: [value('i', [], 'int64'), value('go', [], 'bool'), value('s', null), value('t', null)],
      nodes: [
        node('Concat', ['s', 't'], ['s2'], { axis: { int: 0 } }),
        node('Identity', ['t'], ['t2']),
        node('Identity', ['go'], ['go2']),
        node('ReduceMax', ['s'], ['m'], { keepdims: { int: 0 } }),
        node('Identity', ['s'], ['copy']),
      ],
      outputs: ['go2', 's2', 't2', 'm', 'copy'].map((name) => value(name)),
    };
    const inputs = [value('v', [0, 4]), value('u', ['K', 4])];
    const loop = node('Loop', ['rounds', '', 'v', 'u'], ['grown', 'same', 'maxima', 'copies'], {
      body: { graph: body },
    });
    const inference = await inferred([loop], { inputs, initializers: [tensor('rounds', [], [5], 'int64')] });
    expect(['grown', 'same', 'maxima', 'copies'].map((name) => text(inference, name))).toEqual([
      'float32[?, 4]',
      'float32[K, 4]',
      'float32[5]',
      'float32[5, ?, 4]',
    ]);
  });

  test('Scan: entries along an axis', async () => {
    const body: GraphSpec = {
      inputs: [value('s', null), value('e', null)],
      nodes: [node('Add', ['s', 'e'], ['s2']), node('Identity', ['s2'], ['o'])],
      outputs: [value('s2'), value('o')],
    };
    const inputs = [value('start', ['B', 4]), value('x', ['B', 'T', 4])];
    const scan = node('Scan', ['start', 'x'], ['last', 'y'], {
      body: { graph: body },
      num_scan_inputs: { int: 1 },
      scan_input_axes: { ints: [1] },
      scan_output_axes: { ints: [1] },
    });
    const inference = await inferred([scan], { inputs });
    expect([text(inference, 'last'), text(inference)]).toEqual(['float32[B, 4]', 'float32[B, T, 4]']);
  });

  test('sequences', async () => {
    const inference = await inferred(
      [
        node('SplitToSequence', ['x', 'two'], ['seq'], { axis: { int: 1 } }),
        node('SequenceAt', ['seq', 'one'], ['part']),
        node('SequenceConstruct', ['part', 'part'], ['pair']),
        node('ConcatFromSequence', ['pair'], ['y'], { axis: { int: 1 } }),
      ],
      { initializers: [tensor('two', [], [2], 'int64'), tensor('one', [], [1], 'int64')] },
    );
    expect(['seq', 'part', 'y'].map((name) => text(inference, name))).toEqual([
      'sequence',
      'float32[N, 1, H, W]',
      'float32[N, 2, H, W]',
    ]);
  });

  test('a function: attributes of the call, defaults, an overload, an operator set of its own', async () => {
    const functions: FunctionSpec[] = [
      {
        name: 'Reduced',
        domain: 'local',
        inputs: ['a'],
        outputs: ['b'],
        attributes: ['keep'],
        defaults: { axes: { ints: [1] } },
        opset: [['', 11]],
        nodes: [
          node('ReduceMean', ['a'], ['b'], {
            axes: { ref: 'axes', refType: 7 },
            keepdims: { ref: 'keep', refType: 2 },
          }),
        ],
      },
      {
        name: 'Reduced',
        domain: 'local',
        overload: 'flat',
        inputs: ['a'],
        outputs: ['b'],
        nodes: [node('Flatten', ['a'], ['b'])],
        opset: [['', 18]],
      },
    ];
    const call = (attributes: NodeSpec['attributes'], overload = ''): NodeSpec =>
      node('Reduced', ['x'], ['y'], attributes, { domain: 'local', overload });
    const opset = [
      ['', 18],
      ['local', 1],
    ] as const;
    const of = async (made: NodeSpec): Promise<string> =>
      text(await inferred([made], { functions, opset, irVersion: 10 }));
    expect(await of(call({}))).toBe('float32[N, 1, H, W]');
    expect(await of(call({ keep: { int: 0 }, axes: { ints: [2, 3] } }))).toBe('float32[N, 3]');
    expect(await of(call({}, 'flat'))).toBe('float32[N, 3*H*W]');
  });
});

describe('declarations', () => {
  test('a formula of the inputs stands before a symbol and a number of the file, and the number is told', async () => {
    const inference = await inferred([node('Flatten', ['x'], ['y']), node('Relu', ['y'], ['z'])], {
      valueInfo: [value('y', ['flat', 'k']), value('z', ['flat', 12])],
    });
    expect([text(inference), text(inference, 'z')]).toEqual(['float32[N, 3*H*W]', 'float32[N, 3*H*W]']);
    expect(inference.contradictions).toMatchObject([{ tensor: 'z', believed: 'inferred' }]);
  });

  test('a number stands before an unknown', async () => {
    const inference = await inferred([node('NonZero', ['x'], ['y'])], { valueInfo: [value('y', [4, 12], 'int64')] });
    expect(text(inference)).toBe('int64[4, 12]');
  });

  test('what nobody can infer is what the file says, and goes on', async () => {
    const inference = await inferred(
      [node('Mystery', ['x'], ['m'], {}, { domain: 'custom' }), node('GlobalAveragePool', ['m'], ['y'])],
      {
        opset: [
          ['', 17],
          ['custom', 1],
        ],
        valueInfo: [value('m', ['N', 7, 'a', 'b'])],
      },
    );
    expect(text(inference)).toBe('float32[N, 7, 1, 1]');
    expect(inference.gaps).toMatchObject([{ node: { opType: 'Mystery' }, fault: null, unknown: ['custom:Mystery'] }]);
  });

  test('a contradiction is told, and inference from what is certain is believed', async () => {
    const inference = await inferred([node('Relu', ['x'], ['y'])], { valueInfo: [value('y', ['N', 4, 'H', 'W'])] });
    expect(text(inference)).toBe('float32[N, 3, H, W]');
    expect(inference.contradictions).toMatchObject([{ tensor: 'y', believed: 'inferred' }]);
  });

  test.each([[-1], ['?'], ['None'], ['']])('%j is an unknown dim', async (dim) => {
    const inference = await inferred([node('Relu', ['x'], ['y'])], { inputs: [value('x', [dim, 0])] });
    expect(text(inference)).toBe('float32[?, 0]');
  });

  test('a default that a caller may replace has no value, unless it is fixed', async () => {
    const more: More = {
      irVersion: 8,
      inputs: [IMAGE, value('target', [2], 'int64')],
      initializers: [ints('target', [1, -1])],
    };
    const reshape = [node('Reshape', ['x', 'target'], ['y'])];
    expect(text(await inferred(reshape, more))).toBe('float32[?, ?]');
    expect(text(await inferred(reshape, { ...more, options: { fixDefaults: true } }))).toBe('float32[1, 3*N*H*W]');
  });
});

describe('files that are odd', () => {
  test('a node that is impossible is skipped, with a note', async () => {
    const inference = await inferred([node('MatMul', ['x', 'w'], ['m']), node('Relu', ['x'], ['y'])], {
      initializers: [tensor('w', [5, 2], filled(10, 0))],
      inputs: [value('x', ['N', 4])],
    });
    expect([text(inference, 'm'), text(inference)]).toEqual(['?', 'float32[N, 4]']);
    expect(inference.gaps).toMatchObject([{ fault: '4 and 5 are to be equal' }]);
  });

  test('a dim that no tensor has is a fault of its node', async () => {
    const split = node('DepthToSpace', ['x'], ['y'], { blocksize: { int: 2 } });
    const inference = await inferred([split], { inputs: [value('x', [1, 3, 4, 4])] });
    expect([text(inference), inference.gaps]).toMatchObject(['?', [{ fault: 'a dim would be 0.75' }]]);
  });

  test('nodes out of order', async () => {
    const inference = await inferred([node('Relu', ['a'], ['y']), node('Flatten', ['x'], ['a'])]);
    expect(text(inference)).toBe('float32[N, 3*H*W]');
  });
});
