import type { GraphView } from '../onnx/graph.js';
import { declaredTypes } from '../onnx/types.js';
import { option } from '../options/words.js';
import { node, tensor, value, type GraphSpec, type ModelSpec } from '../testing/model-spec.js';
import { bare, borrowed, editOf, identity, planned, tapped, viewed } from '../testing/planning.js';
import { bytes } from '../testing/wire-writer.js';
import { NO_DROPS, type GraphEdit } from './edit.js';
import type { PlanOptions, Tap } from './tap.js';

const v = (name: string): ReturnType<typeof value> => value(name, ['N', 4]);

/** A chain that declares everything: `x` -> `a` -> `b` -> `y`. */
const CHAIN: GraphSpec = {
  nodes: [node('Relu', ['x'], ['a']), node('Neg', ['a'], ['b']), node('Abs', ['b'], ['y'])],
  inputs: [v('x')],
  outputs: [v('y')],
  valueInfo: [v('a'), v('b')],
};

/** What the plan of a selection changes. */
async function edited(
  graph: GraphSpec,
  taps: readonly (Tap | string)[],
  options: Partial<PlanOptions> = {},
  more: Omit<Partial<ModelSpec>, 'graph'> = {},
): Promise<GraphEdit> {
  return planned(await viewed(graph, more), taps, options).edit;
}

describe('a plan', () => {
  test('of one tensor', async () => {
    const tap = tapped('a');
    expect(planned(await viewed(CHAIN), [tap])).toStrictEqual({
      edit: editOf([borrowed('valueInfo', 0, 'a')], { nodes: [1, 2], valueInfo: [0, 1] }),
      outputs: [bare(tap)],
      begun: null,
      freed: null,
      renamed: [],
      pixels: null,
      warnings: [],
    });
  });

  test('of two, which leave under other names', async () => {
    const taps = [
      tapped('b', { index: 1, numChs: 4, layout: 'NCHW', prefixTokens: 2 }),
      tapped('a', { index: 0, dtype: 'float16', shape: [1, 2] }),
    ];
    const { edit, outputs, warnings } = planned(await viewed(CHAIN), taps);
    expect(edit).toStrictEqual(
      editOf(
        [borrowed('valueInfo', 1, '1'), borrowed('valueInfo', 0, '0')],
        { nodes: [2] },
        { addNodes: [identity('b', '1'), identity('a', '0', 1)] },
      ),
    );
    expect(outputs).toStrictEqual([bare(taps[0], '1'), bare(taps[1], '0')]);
    expect(warnings).toEqual([]);
  });

  test('of a joined one, which is another value', async () => {
    const tap = tapped('a', { tensors: ['a', 'b'], module: 'neck' });
    const { edit, outputs } = planned(await viewed(CHAIN), [tap]);
    const name = 'featx/Concat';
    const concat = {
      opType: 'Concat',
      name,
      inputs: ['a', 'b'],
      outputs: [name],
      attributes: [{ name: 'axis', int: 1 }],
    };
    const type = { kind: 'tensor', elemType: 1, shape: ['N', 8] } as const;
    expect(edit).toStrictEqual(
      editOf(
        [{ name: 'neck', borrow: null, type }],
        { nodes: [2] },
        { addNodes: [concat, identity('featx/Concat', 'neck')] },
      ),
    );
    expect(outputs).toStrictEqual([
      {
        ...bare(tap, 'neck'),
        shape: ['N', 8],
        converted: true,
        before: { ...bare(tap).before, tensor: name, converted: true },
      },
    ]);
  });
});

describe('what was declared as an output', () => {
  const BOTH = { ...CHAIN, valueInfo: [v('a'), v('b'), v('y')] };

  test('goes where the output goes', async () => {
    expect(await edited(BOTH, ['b'])).toStrictEqual(
      editOf([borrowed('valueInfo', 1, 'b')], { nodes: [2], valueInfo: [1, 2] }),
    );
  });

  test('stays beside them in value_info while it is no output', async () => {
    expect(await edited(BOTH, [tapped('y', { index: 0 })])).toStrictEqual(
      editOf([borrowed('output', 0, '0')], {}, { addNodes: [identity('y', '0')] }),
    );
  });

  test('is said once if it stays one', async () => {
    expect(await edited(BOTH, ['a'], { keepOutputs: true })).toStrictEqual(
      editOf([borrowed('valueInfo', 0, 'a'), borrowed('output', 0, 'y')], { valueInfo: [0, 2] }),
    );
  });

  test('is one value if it stands there twice', async () => {
    const graph = { ...CHAIN, outputs: [v('y'), v('b'), v('y')] };
    const [y, b] = [borrowed('output', 0, 'y'), borrowed('output', 1, 'b')];
    expect((await edited(graph, ['a'], { keepOutputs: true })).outputs).toEqual([borrowed('valueInfo', 0, 'a'), y, b]);
    expect((await edited(graph, ['b'], { keepOutputs: true })).outputs).toEqual([b, y]);
  });
});

describe('a hook', () => {
  const HOOK = { mode: 'hook', rewrite: false } as const;
  const IDLE = {
    ...CHAIN,
    nodes: [...(CHAIN.nodes ?? []), node('Exp', ['x'], ['idle'])],
    inputs: [v('x'), v('spare')],
    valueInfo: [v('a'), v('y'), v('b'), v('nobody')],
    initializers: [tensor('w', [1], [1])],
  };

  test('leaves all as it is, but what would be declared twice', async () => {
    expect(await edited(IDLE, ['b', 'a'], HOOK)).toStrictEqual(
      editOf([borrowed('output', 0, 'y'), borrowed('valueInfo', 2, 'b'), borrowed('valueInfo', 0, 'a')], {
        valueInfo: [0, 2],
      }),
    );
  });

  test('of an output changes nothing', async () => {
    expect(await edited(IDLE, ['y'], HOOK)).toStrictEqual(editOf([borrowed('output', 0, 'y')]));
  });

  test('gives its inputs other names', async () => {
    const { edit, renamed } = planned(await viewed(IDLE), ['a'], { ...HOOK, inMap: new Map([['spare', 'more']]) });
    expect(edit.drop).toStrictEqual({ ...NO_DROPS, inputs: [1], valueInfo: [0] });
    expect(edit.frontNodes).toEqual([{ ...identity('more', 'spare'), attributes: [] }]);
    expect(edit.addInputs).toEqual([
      { name: 'more', type: { kind: 'tensor', elemType: 1, shape: ['N', 4] }, replaces: 1 },
    ]);
    expect(renamed).toEqual([{ input: 'more', tensor: 'spare' }]);
  });

  test('takes no name of what no output needs', async () => {
    const view = await viewed(IDLE);
    expect(() => planned(view, ['a'], { ...HOOK, outMap: ['idle'] })).toThrow("'idle' is taken");
    expect(planned(view, ['a'], { outMap: ['idle'] }).outputs[0].output).toBe('idle');
  });

  test('that rewrites is a cut, and so is any other mode', async () => {
    for (const options of [{ mode: 'hook' }, { mode: 'dict', rewrite: false }, { mode: 'list' }] as const)
      expect(await edited(CHAIN, ['a'], options)).toStrictEqual(
        editOf([borrowed('valueInfo', 0, 'a')], { nodes: [1, 2], valueInfo: [0, 1] }),
      );
  });
});

describe('a model that stays whole', () => {
  const WHOLE: GraphSpec = { ...CHAIN, initializers: [tensor('w', [1], [1])] };

  test('where nothing is selected', async () => {
    const { edit, outputs, begun, warnings } = planned(await viewed(WHOLE, { trainingInfo: [{}] }), [], {
      whole: true,
    });
    expect(edit).toStrictEqual(editOf([borrowed('output', 0, 'y')]));
    expect([outputs, begun, warnings]).toEqual([[], null, []]);
  });

  test('is a cut where something is', async () => {
    expect(await edited(WHOLE, ['a'], { whole: true })).toStrictEqual(await edited(WHOLE, ['a']));
  });
});

test('nothing selected is refused', async () => {
  const view = await viewed(CHAIN);
  const error = { name: 'UsageError', message: 'nothing is selected', code: 'FEATX_USAGE_EMPTY' };
  expect(() => planned(view, [])).toThrow(
    expect.objectContaining({
      ...error,
      hint: `select features with ${option('out')}, ${option('module')}, ${option('tensor')} or ${option('node')}`,
    }),
  );
  expect(() => planned(view, [], { keepOutputs: true, mode: 'hook', rewrite: false })).toThrow(
    expect.objectContaining(error),
  );
});

describe('what a cut leaves out', () => {
  const WIDE: GraphSpec = {
    nodes: [
      node('Add', ['x', 'used'], ['a']),
      node('Add', ['a', 'thin'], ['b']),
      node('Mul', ['b', 'other'], ['c']),
      node('Mul', ['c', 'thick'], ['y']),
    ],
    inputs: [v('x'), v('other'), value('used', [4])],
    outputs: [v('y')],
    initializers: [tensor('unused', [4], [1, 2, 3, 4]), tensor('used', [4], [1, 2, 3, 4])],
    sparseInitializers: [
      { values: tensor('thick', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [4] },
      { values: tensor('thin', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [4] },
    ],
    valueInfo: [v('c'), v('a'), v('ghost')],
    annotations: [
      ['c', [['SCALE_TENSOR', 'unused']]],
      ['a', []],
    ],
    // A sparse tensor that holds nothing.
    extra: [bytes(15, new Uint8Array(0), {})],
  };

  test('is all that nothing needs', async () => {
    expect(await edited(WIDE, ['b'])).toStrictEqual(
      editOf([{ name: 'b', borrow: null, type: null }], {
        nodes: [2, 3],
        initializers: [0],
        sparseInitializers: [0],
        inputs: [1],
        valueInfo: [0, 2],
        quantizationAnnotations: [0],
      }),
    );
  });

  test('is nothing of what annotations refer to', async () => {
    expect((await edited(WIDE, [tapped('c', { index: 0 })])).drop).toStrictEqual({
      ...NO_DROPS,
      nodes: [3],
      sparseInitializers: [0],
      valueInfo: [2],
    });
  });

  test('is what no node reads or makes only if it does not leave', async () => {
    const graph = { ...CHAIN, inputs: [v('x'), v('p'), v('q')], valueInfo: [v('p'), v('q')] };
    expect(await edited(graph, [tapped('p', { index: 0 })])).toStrictEqual(
      editOf(
        [borrowed('valueInfo', 0, '0')],
        { nodes: [0, 1, 2], inputs: [0, 2], valueInfo: [1] },
        { addNodes: [identity('p', '0')] },
      ),
    );
    const through = { ...graph, outputs: [v('p')] };
    expect((await edited(through, ['a'], { keepOutputs: true })).drop).toStrictEqual({
      ...NO_DROPS,
      nodes: [1, 2],
      inputs: [2],
      valueInfo: [0, 1],
    });
  });

  test('are functions that nothing calls', async () => {
    const define = (name: string, op: string, domain = ''): NonNullable<ModelSpec['functions']>[number] => ({
      name,
      domain: 'own',
      inputs: ['i'],
      outputs: ['o'],
      nodes: [node(op, ['i'], ['o'], {}, { domain })],
      opset: [
        ['', 17],
        ['own', 1],
      ],
    });
    const graph = {
      ...CHAIN,
      nodes: [
        node('Outer', ['x'], ['a'], {}, { domain: 'own' }),
        node('Late', ['a'], ['b'], {}, { domain: 'own' }),
        node('Abs', ['b'], ['y']),
      ],
    };
    const functions = [define('Late', 'Neg'), define('Outer', 'Inner', 'own'), define('Inner', 'Relu')];
    const opset = [
      ['', 17],
      ['own', 1],
    ] as const;
    expect((await edited(graph, ['a'], {}, { functions, opset })).drop.functions).toEqual([0]);
    expect((await edited(graph, ['b'], {}, { functions, opset })).drop.functions).toEqual([]);
  });

  test('is what training needs', async () => {
    const training = { trainingInfo: [{ algorithm: { nodes: [], inputs: [], outputs: [] } }] };
    const view = await viewed(CHAIN, training);
    const cut = planned(view, ['a']);
    expect(cut.edit.drop.trainingInfo).toBe(true);
    expect(cut.warnings).toEqual(['training_info is dropped: it refers to tensors that the cut leaves out']);
    const hook = planned(view, ['a'], { mode: 'hook', rewrite: false });
    expect([hook.edit.drop.trainingInfo, hook.warnings]).toEqual([false, []]);
  });
});

describe('what is needed beside a tap', () => {
  const CODES: GraphSpec = {
    nodes: [
      node('Relu', ['x'], ['a']),
      node('Cast', ['a'], ['codes'], { to: { int: 2 } }),
      node('Abs', ['factor'], ['scale']),
      node('Cast', ['factor'], ['zero'], { to: { int: 2 } }),
      node('DequantizeLinear', ['codes', 'scale', 'zero'], ['y']),
    ],
    inputs: [v('x')],
    outputs: [v('y')],
    initializers: [tensor('factor', [], [2])],
  };
  const dropped = async (more: Partial<Tap>): Promise<readonly number[]> =>
    (await edited(CODES, [tapped('codes', { index: 0, dtype: 'uint8', ...more })])).drop.nodes;
  const codes = { scale: null, zeroPoint: null, tensors: { scale: 'scale', zeroPoint: 'zero' } };

  test('are the scale and the zero point of codes that leave as numbers', async () => {
    expect(await dropped({ codes, asValue: true })).toEqual([4]);
    const plain = { ...codes, tensors: { scale: 'scale', zeroPoint: '' } };
    expect(await dropped({ codes: plain, asValue: true })).toEqual([3, 4]);
  });

  test('not of those that leave as they are, or say no tensors', async () => {
    expect(await dropped({ codes })).toEqual([2, 3, 4]);
    expect(await dropped({ codes: { scale: 2, zeroPoint: 0 }, asValue: true })).toEqual([2, 3, 4]);
    expect(await dropped({ asValue: true })).toEqual([2, 3, 4]);
  });
});

describe('an operator set', () => {
  const FOREIGN: GraphSpec = {
    nodes: [node('Odd', ['x'], ['a'], {}, { domain: 'nobody' })],
    inputs: [v('x')],
    outputs: [v('a')],
  };
  const opset = [['nobody', 1]] as const;

  test('is imported for nodes that are added', async () => {
    const asked = (taps: readonly Tap[], options = {}): Promise<GraphEdit> =>
      edited(FOREIGN, taps, options, { opset, irVersion: 8 });
    const wanted = [{ domain: '', version: 17 }];
    expect((await asked([tapped('a', { index: 0 })])).addOpsetImports).toEqual(wanted);
    expect((await asked([tapped('a')], { inMap: new Map([['x', 'z']]) })).addOpsetImports).toEqual(wanted);
    expect((await asked([tapped('a')])).addOpsetImports).toEqual([]);
  });

  test('once', async () => {
    expect((await edited(CHAIN, [tapped('a', { index: 0 })])).addOpsetImports).toEqual([]);
  });
});

test('what makes tensors of bodies tensors of the graph is handed on', async () => {
  const view = await viewed(CHAIN);
  const inside: NonNullable<GraphView['inside']> = [
    { scope: { function: null, steps: [] }, addNodes: [], addOutputs: [], nodeOutputs: [], nodeInts: [] },
  ];
  expect(planned({ ...view, inside }, ['a']).edit.inside).toBe(inside);
});

test('a tap says its shape itself', async () => {
  const tap = tapped('a', { shape: [7, 4] });
  const view = await viewed(CHAIN);
  expect(planned(view, [tap], {}, declaredTypes(view.model)).outputs[0].shape).toEqual([7, 4]);
});
