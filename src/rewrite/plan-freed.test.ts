import { tensorInfo, type Info } from '../shapes/info.js';
import { node, tensor, value, type GraphSpec, type ModelSpec } from '../testing/model-spec.js';
import { at, bare, borrowed, editOf, identity, planned, tapped, viewed } from '../testing/planning.js';
import type { Plan } from './plan.js';
import type { PlanOptions, Tap } from './tap.js';

/** Exported for two entries: one token for each stands in front of what is made of `x`. */
const PAIR: GraphSpec = {
  nodes: [
    node('Expand', ['token', 'size'], ['e']),
    node('Reshape', ['x', 'sizes'], ['r']),
    node('Concat', ['e', 'r'], ['c'], { axis: { int: 1 } }),
    node('Relu', ['c'], ['y']),
  ],
  inputs: [value('x', [2, 3, 4])],
  outputs: [value('y', [2, 24])],
  valueInfo: [value('r', [2, 12]), value('e', [2, 12]), value('c', [2, 24])],
  initializers: [
    tensor('token', [1, 12], new Uint8Array(48)),
    tensor('size', [2], [2, 12], 'int64'),
    tensor('sizes', [2], [2, 12], 'int64'),
  ],
};

const INFOS: ReadonlyMap<string, Info> = new Map([
  ['x', tensorInfo(1, [2, 3, 4])],
  ['token', tensorInfo(1, [1, 12])],
  ['size', tensorInfo(7, [2], [2, 12])],
  ['sizes', tensorInfo(7, [2], [2, 12])],
  ['e', tensorInfo(1, [2, 12])],
  ['r', tensorInfo(1, [2, 12])],
  ['c', tensorInfo(1, [2, 24])],
  ['y', tensorInfo(1, [2, 24])],
]);

/** A plan in which the batch is free, as `N`. */
async function freed(
  graph: GraphSpec,
  taps: readonly (Tap | string)[],
  options: Partial<PlanOptions> = {},
  more: Omit<Partial<ModelSpec>, 'graph'> = {},
): Promise<Plan> {
  return planned(await viewed(graph, more), taps, { freeBatch: { name: 'N', infos: INFOS }, ...options });
}

const constant = (int64: readonly number[], count = 0): Plan['edit']['frontNodes'][number] => {
  const name = `featx/Constant${count === 0 ? '' : `_${count}`}`;
  const tensor = { name: '', dims: [int64.length], int64 };
  return { opType: 'Constant', name, inputs: [], outputs: [name], attributes: [{ name: 'value', tensor }] };
};

const floats = (...shape: readonly (number | string)[]) => ({ kind: 'tensor', elemType: 1, shape }) as const;

describe('a plan whose batch is free', () => {
  test('changes what was written for the entries that there were', async () => {
    const tap = tapped('c', { index: 0, shape: [2, 24] });
    const { edit, outputs, freed: record, begun, warnings } = await freed(PAIR, [tap]);
    const [input] = (await viewed(PAIR)).model.graph.inputs;
    const front = edit.frontNodes.map(({ opType, outputs: [made] }) => [opType, made]);
    expect(edit).toEqual(
      editOf(
        [{ name: '0', borrow: null, type: floats('N', 24) }],
        { nodes: [0, 3], initializers: [1, 2], valueInfo: [0, 1, 2] },
        {
          types: [{ of: expect.objectContaining({ name: input.name }), type: floats('N', 3, 4) }],
          frontNodes: [constant([-1, 12]), ...edit.frontNodes.slice(1)],
          addNodes: [
            {
              opType: 'Expand',
              name: 'featx/Expand',
              inputs: ['token', 'featx/Concat'],
              outputs: ['featx/Expand'],
              attributes: [],
              before: 2,
            },
            identity('c', '0'),
          ],
          rename: [
            { node: 1, list: 'input', at: 1, name: 'featx/Constant' },
            { node: 2, list: 'input', at: 0, name: 'featx/Expand' },
          ],
        },
      ),
    );
    expect(front.at(-1)).toEqual(['Concat', 'featx/Concat']);
    expect(outputs).toEqual([bare({ ...tap, shape: ['N', 24] }, '0')]);
    expect(record).toEqual({ name: 'N', batch: 2, inputs: { x: 0 }, outputs: { 0: 0 }, edits: 2 });
    expect([begun, warnings]).toEqual([null, []]);
  });

  test('leaves out what a hook and a whole model would keep', async () => {
    for (const [taps, options] of [
      [['y'], { mode: 'hook', rewrite: false }],
      [[], { whole: true }],
    ] as const) {
      const { edit, freed: record } = await freed(PAIR, taps, options);
      expect(edit.drop).toMatchObject({ nodes: [0], initializers: [1, 2], valueInfo: [0, 1, 2] });
      expect(edit.outputs).toEqual([borrowed('output', 0, 'y')]);
      expect(edit.types.map(({ of, type }) => [of.name, type])).toEqual([
        ['x', floats('N', 3, 4)],
        ['y', floats('N', 24)],
      ]);
      expect(record?.outputs).toEqual({ y: 0 });
    }
  });

  test('keeps the shape of what is joined, and of what is not known', async () => {
    const joined = tapped('r', { tensors: ['r', 'c'], shape: [1, 2] });
    const types = new Map([['x', { dtype: 'float32', shape: [2, 3, 4] }]]);
    expect((await freed(PAIR, [joined])).outputs[0]).toMatchObject({ tap: joined, shape: ['N', 36] });
    const view = await viewed(PAIR);
    const options = { freeBatch: { name: 'N', infos: INFOS } };
    const unknown = tapped('r', { shape: [2, 12] });
    expect(planned(view, [unknown], options, types).outputs[0].tap).toEqual(unknown);
  });

  test('says its own sizes beside those that were asked for', async () => {
    const view = await viewed(PAIR);
    const [of] = view.model.graph.inputs;
    const other = view.model.graph.valueInfo[1];
    const asked = [
      { of, type: floats(2, 3, 5) },
      { of: other, type: floats(2, 13) },
    ];
    const sizes = { types: asked, faults: [] };
    expect(planned(view, ['r'], { sizes }).edit.types).toEqual(asked);
    expect(planned(view, ['r'], { sizes, freeBatch: { name: 'N', infos: INFOS } }).edit.types).toEqual([
      asked[1],
      { of, type: floats('N', 3, 4) },
    ]);
  });

  test('imports the operator set of what it adds', async () => {
    const bare = { opset: [['nobody', 1]] as const, irVersion: 8 };
    expect((await freed(PAIR, ['r'], {}, bare)).edit.addOpsetImports).toEqual([{ domain: '', version: 17 }]);
    expect((await freed(PAIR, ['r'])).edit.addOpsetImports).toEqual([]);
  });

  test('has inputs of other names and sizes', async () => {
    const { edit, freed: record, renamed } = await freed(PAIR, ['r'], { inMap: new Map([['x', 'z']]) });
    expect(edit.addInputs).toEqual([{ name: 'z', type: floats('N', 3, 4), replaces: 0 }]);
    expect(edit.frontNodes).toEqual([{ ...identity('z', 'x'), attributes: [] }, constant([-1, 12])]);
    expect(renamed).toEqual([{ input: 'z', tensor: 'x' }]);
    expect(record).toMatchObject({ inputs: { z: 0 }, outputs: { r: 0 } });
  });

  test('begins inside', async () => {
    const graph: GraphSpec = {
      nodes: [
        node('Split', ['x'], ['l', 'r'], { axis: { int: 1 } }),
        node('Reshape', ['r', 'sizes'], ['s']),
        node('Reshape', ['l', 'sizes'], ['t']),
        node('Add', ['s', 't'], ['y']),
      ],
      inputs: [value('x', [2, 8])],
      outputs: [value('y', [2, 2, 2])],
      initializers: [tensor('sizes', [3], [2, 2, 2], 'int64')],
      valueInfo: [value('l', [2, 4]), value('r', [2, 4])],
    };
    const infos: ReadonlyMap<string, Info> = new Map([
      ['x', tensorInfo(1, [2, 8])],
      ['l', tensorInfo(1, [2, 4])],
      ['r', tensorInfo(1, [2, 4])],
      ['sizes', tensorInfo(7, [3], [2, 2, 2])],
      ...['s', 't', 'y'].map((name) => [name, tensorInfo(1, [2, 2, 2])] as const),
    ]);
    const {
      edit,
      freed: record,
      begun,
    } = await freed(graph, [], {
      from: [at('l')],
      inMap: new Map([['l', 'z']]),
      keepInputs: true,
      freeBatch: { name: 'N', infos },
    });
    expect(edit.frontNodes).toEqual([
      { ...identity('z', 'l'), attributes: [] },
      constant([-1, 2, 2]),
      constant([-1, 2, 2], 1),
    ]);
    expect(edit.rename).toEqual([
      { node: 0, list: 'output', at: 0, name: 'l_unused' },
      { node: 1, list: 'input', at: 1, name: 'featx/Constant' },
      { node: 2, list: 'input', at: 1, name: 'featx/Constant_1' },
    ]);
    expect(edit.addInputs).toEqual([{ name: 'z', type: floats('N', 4) }]);
    expect(edit.drop).toMatchObject({ initializers: [0], valueInfo: [0, 1] });
    expect(begun?.from).toMatchObject([{ input: 'z', shape: ['N', 4] }]);
    expect(record).toMatchObject({ inputs: { x: 0, z: 0 }, outputs: { y: 0 }, edits: 2 });
  });

  test('is refused where it cannot be', async () => {
    await expect(freed(PAIR, ['c'], { freeBatch: { name: 'N', infos: new Map() } })).rejects.toThrow(
      'the batch cannot be freed at the inputs: none has a number for its batch, on axis 0',
    );
  });
});
