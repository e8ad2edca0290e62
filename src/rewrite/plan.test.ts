import type { Feature } from '../features/feature.js';
import { openModel } from '../open.js';
import { cutTensors, on, runBoth } from '../testing/cutting.js';
import { cut, tapOf, type Bench } from '../testing/equivalence.js';
import { node, tensor, value, type ModelSpec } from '../testing/model-spec.js';
import { EMPTY_EDIT, isEmpty, NO_DROPS, validateEdit } from './edit.js';
import { cutFeatures, planRewrite, type Plan } from './plan.js';
import { DEFAULT_PLAN, type PlanOptions, type Tap } from './tap.js';
import { splice } from './splice.js';

const v = (name: string): ReturnType<typeof value> => value(name, [2, 2]);

/** A chain whose tensors are named so that default names collide: `x` -> `0` -> `1` -> `b` -> `feature_1` -> `y`. */
const TAKEN: ModelSpec = {
  graph: {
    nodes: ['0', '1', 'b', 'feature_1', 'y'].map((name, index, names) =>
      node('Relu', [index === 0 ? 'x' : names[index - 1]], [name], {}, { name: `featx/${index}` }),
    ),
    inputs: [v('x')],
    outputs: [v('y')],
  },
};

/** Two branches from one input, with a body that has names of its own. */
const BRANCHES: ModelSpec = {
  graph: {
    nodes: [
      node('Relu', ['x'], ['a'], {}, { name: 'featx/Identity' }),
      node('If', ['cond'], ['b'], {
        then_branch: {
          graph: {
            name: 'then',
            nodes: [node('Neg', ['a'], ['taken']), node('Abs', ['taken'], ['t'])],
            outputs: [v('t')],
          },
        },
        else_branch: {
          graph: { name: 'else', nodes: [node('Identity', ['a'], ['feature_0'])], outputs: [v('feature_0')] },
        },
      }),
      node('Exp', ['x'], ['c']),
      node('Add', ['b', 'c'], ['y']),
    ],
    inputs: [v('x'), value('cond', [], 'bool')],
    outputs: [v('y')],
    initializers: [tensor('unused', [1], [1])],
  },
};

const tap = ({ view }: Bench, name: string, index: number | null = null): Tap => tapOf(view, name, index);

function plan(bench: Bench, taps: readonly Tap[], options: Partial<PlanOptions> = {}): Plan {
  return planRewrite(bench.view, new Map(), taps, { ...DEFAULT_PLAN, ...options });
}

const names = ({ outputs }: Plan): readonly string[] => outputs.map(({ output }) => output);
const graphOutputs = ({ edit }: Plan): readonly string[] => (edit.outputs ?? []).map(({ name }) => name);

describe('names', () => {
  test('a dict is keyed by index, a list by tensor', async () => {
    await on(BRANCHES, async (bench) => {
      const taps = [tap(bench, 'c', 3), tap(bench, 'a', 0)];
      expect(names(plan(bench, taps))).toEqual(['3', '0']);
      expect(names(plan(bench, taps, { mode: 'list' }))).toEqual(['c', 'a']);
      expect(graphOutputs(plan(bench, taps, { mode: 'hook', rewrite: false }))).toEqual(['y', 'c', 'a']);
      expect(graphOutputs(plan(bench, taps, { mode: 'hook', rewrite: true }))).toEqual(['c', 'a']);
      expect(graphOutputs(plan(bench, taps, { mode: 'hook', rewrite: true, keepOutputs: true }))).toEqual([
        'c',
        'a',
        'y',
      ]);
      expect(graphOutputs(plan(bench, taps, { keepOutputs: true }))).toEqual(['3', '0', 'y']);
    });
  });

  test("selected by name, an output keeps its tensor's name in a dict too", async () => {
    await on(BRANCHES, async (bench) =>
      expect(names(plan(bench, [tap(bench, 'c'), tap(bench, 'a', 2)]))).toEqual(['c', '2']),
    );
  });

  test('a default name that another kept tensor has becomes feature_<index>, with a warning', async () => {
    await on(TAKEN, async (bench) => {
      const result = plan(bench, [tap(bench, 'b', 0), tap(bench, 'y', 1)]);
      expect(names(result)).toEqual(['feature_0', 'feature_1_1']);
      expect(result.warnings.filter((warning) => warning.includes('taken'))).toEqual([
        "the name '0' is taken by another tensor; feature 0 is named 'feature_0'",
        "the name '1' is taken by another tensor; feature 1 is named 'feature_1_1'",
      ]);
      const written = await cut(bench, [tap(bench, 'b', 0), tap(bench, 'y', 1)]);
      const { got, want } = await runBoth(bench, ['b', 'y'], written);
      expect(got).toEqual(want);
    });
  });

  test('a default name is free where what had it is cut away, or is the feature itself', async () => {
    await on(TAKEN, async (bench) => {
      expect(names(plan(bench, [tap(bench, '0', 1)]))).toEqual(['1']);
      const own = plan(bench, [tap(bench, '0', 0), tap(bench, '1', 1)]);
      expect([names(own), own.edit.addNodes]).toEqual([['0', '1'], []]);
      const swapped = plan(bench, [tap(bench, '1', 0), tap(bench, '0', 1)]);
      expect(names(swapped)).toEqual(['feature_0', 'feature_1']);
    });
  });

  test('names in bodies are taken, and bodies are never renamed', async () => {
    await on(BRANCHES, async (bench) => {
      expect(() => plan(bench, [tap(bench, 'b', 0)], { outMap: ['taken'] })).toThrow(
        expect.objectContaining({ code: 'FEATX_USAGE_OUT_MAP' }),
      );
      expect(() => plan(bench, [tap(bench, 'b', 0)], { outMap: ['t'] })).toThrow("'t' is taken");
      expect(names(plan(bench, [tap(bench, 'c', 0)], { outMap: ['taken'] }))).toEqual(['taken']);
      // `x` leaves through an Identity; `feature_0`, its second choice, is a name of a body.
      expect(names(plan(bench, [tap(bench, 'b'), tap(bench, 'x', 0)], { mode: 'list' }))).toEqual(['b', 'feature_0_1']);
    });
  });

  test('new nodes have names that no node has', async () => {
    await on(BRANCHES, async (bench) => {
      const { edit } = plan(bench, [tap(bench, 'a', 0), tap(bench, 'b', 1)]);
      expect(edit.addNodes.map(({ name }) => name)).toEqual(['featx/Identity_1', 'featx/Identity_2']);
      const { got, want } = await runBoth(
        bench,
        ['a', 'b'],
        await cut(bench, [tap(bench, 'a', 0), tap(bench, 'b', 1)]),
      );
      expect(got).toEqual(want);
    });
  });

  test('a cut of a cut', async () => {
    await on(BRANCHES, async (bench) => {
      const first = await cutTensors(bench, ['a', 'c']);
      await using model = await openModel(first.bytes);
      await on(BRANCHES, async () => undefined);
      const { viewGraph } = await import('../onnx/graph.js');
      const view = viewGraph(model);
      const second = planRewrite(view, new Map(), [tapOf(view, 'c', 1), tapOf(view, '0', 0)], DEFAULT_PLAN);
      expect(names(second)).toEqual(['1', '0']);
      expect(new Set(second.edit.addNodes.map(({ name }) => name)).size).toBe(second.edit.addNodes.length);
    });
  });
});

describe('--out-map', () => {
  test('names the outputs in any mode', async () => {
    await on(BRANCHES, async (bench) => {
      const taps = [tap(bench, 'a', 0), tap(bench, 'c', 1)];
      for (const mode of ['dict', 'list'] as const)
        expect(names(plan(bench, taps, { mode, outMap: ['p2', 'p3'] }))).toEqual(['p2', 'p3']);
      expect(graphOutputs(plan(bench, taps, { mode: 'hook', rewrite: false, outMap: ['p2', 'p3'] }))).toEqual([
        'y',
        'p2',
        'p3',
      ]);
      // Its own name is not taken.
      expect(plan(bench, taps, { outMap: ['a', 'p3'] }).edit.addNodes).toHaveLength(1);
    });
  });

  test.each([
    [['p2'], '`outMap` names 1 outputs, but 2 features are selected'],
    [['p2', 'p3', 'p4'], '`outMap` names 3 outputs'],
    [['p2', 'p2'], "`outMap` repeats 'p2'"],
    [['p2', ''], 'empty name'],
    [['x', 'p3'], "'x' is taken"],
    [['c', 'a'], "'c', 'a' are taken"],
  ])('%j is refused', async (outMap, message) => {
    await on(BRANCHES, async (bench) => {
      expect(() => plan(bench, [tap(bench, 'a', 0), tap(bench, 'c', 1)], { outMap })).toThrow(
        expect.objectContaining({
          name: 'UsageError',
          code: 'FEATX_USAGE_OUT_MAP',
          message: expect.stringContaining(message),
        }),
      );
    });
  });

  test('an output of the model is taken where it is kept', async () => {
    await on(BRANCHES, async (bench) => {
      expect(names(plan(bench, [tap(bench, 'a', 0)], { outMap: ['y'] }))).toEqual(['y']);
      for (const options of [{ keepOutputs: true }, { mode: 'hook', rewrite: false }] as const)
        expect(() => plan(bench, [tap(bench, 'a', 0)], { outMap: ['y'], ...options })).toThrow("'y' is taken");
      expect(graphOutputs(plan(bench, [tap(bench, 'y', 0)], { outMap: ['y'], mode: 'hook', rewrite: false }))).toEqual([
        'y',
      ]);
    });
  });
});

describe('duplicates', () => {
  test('are refused in a dict without --out-map', async () => {
    await on(BRANCHES, async (bench) => {
      const refused = (taps: readonly Tap[]): void =>
        expect(() => plan(bench, taps)).toThrow(
          expect.objectContaining({ name: 'UsageError', code: 'FEATX_USAGE_DUPLICATE' }),
        );
      refused([tap(bench, 'a', 1), tap(bench, 'a', 1)]);
      refused([tap(bench, 'a'), tap(bench, 'a')]);
      expect(names(plan(bench, [tap(bench, 'a', 1), tap(bench, 'a', 1)], { outMap: ['p', 'q'] }))).toEqual(['p', 'q']);
    });
  });

  test('have one Identity per extra name elsewhere', async () => {
    await on(BRANCHES, async (bench) => {
      const taps = [tap(bench, 'a', 1), tap(bench, 'a', 1), tap(bench, 'a', 1), tap(bench, 'a')];
      const list = plan(bench, taps, { mode: 'list' });
      expect(names(list)).toEqual(['a', 'feature_1', 'feature_1_1', 'a_feature']);
      expect(list.edit.addNodes.map(({ opType, inputs }) => [opType, inputs])).toEqual([
        ['Identity', ['a']],
        ['Identity', ['a']],
        ['Identity', ['a']],
      ]);
      expect(list.warnings.filter((warning) => warning.includes('taken'))).toEqual([]);
      expect(
        graphOutputs(plan(bench, [tap(bench, 'y', 0), tap(bench, 'y', 0)], { mode: 'hook', rewrite: false })),
      ).toEqual(['y', 'feature_0_1']);
      const { got, want } = await runBoth(bench, ['a', 'a', 'a', 'a'], await cut(bench, taps, { mode: 'list' }));
      expect(got).toEqual(want);
    });
  });

  test('nothing renames a value that is not a tensor', async () => {
    const sequences = (opset: number): ModelSpec => ({
      opset,
      graph: {
        nodes: [node('SequenceConstruct', ['x'], ['s']), node('SequenceLength', ['s'], ['y'])],
        inputs: [v('x')],
        outputs: [value('y', [], 'int64')],
        valueInfo: [{ name: 's', type: { sequence: { tensor: 'float32' } } }],
      },
    });
    await on(sequences(13), async (bench) => {
      expect(() => plan(bench, [tap(bench, 's', 0)])).toThrow(
        expect.objectContaining({ name: 'UsageError', code: 'FEATX_USAGE_ALIAS' }),
      );
      expect(names(plan(bench, [tap(bench, 's')]))).toEqual(['s']);
    });
    await on(sequences(17), async (bench) => expect(names(plan(bench, [tap(bench, 's', 0)]))).toEqual(['0']));
    await on('fixtures/models/09-map.onnx', async (bench) =>
      expect(() => plan(bench, [tap(bench, 'scores', 0)])).toThrow(
        "'scores': values of this type cannot leave under another name",
      ),
    );
    await on('fixtures/models/09-sequence-and-optional.onnx', async (bench) => {
      expect(names(plan(bench, [tap(bench, 'maybe', 0)]))).toEqual(['0']);
      const unknown = planRewrite.bind(
        null,
        bench.view,
        new Map([['picked', { dtype: null, shape: null, type: 'map' }]]),
        [tap(bench, 'picked', 0)],
        DEFAULT_PLAN,
      );
      expect(unknown).toThrow(expect.objectContaining({ code: 'FEATX_USAGE_ALIAS' }));
    });
  });
});

describe('order', () => {
  test('as asked, or as the network computes', async () => {
    await on(BRANCHES, async (bench) => {
      const taps = [tap(bench, 'y', 3), tap(bench, 'c', 2), tap(bench, 'a', 1), tap(bench, 'x', 0)];
      expect(names(plan(bench, taps))).toEqual(['3', '2', '1', '0']);
      expect(names(plan(bench, taps, { order: 'exec' }))).toEqual(['0', '1', '2', '3']);
      expect(names(plan(bench, taps, { order: 'exec', outMap: ['p', 'q', 'r', 's'] }))).toEqual(['p', 'q', 'r', 's']);
    });
  });
});

describe('several tensors of one feature', () => {
  const several = (bench: Bench, module: string | null = 'block', tensors = ['a', 'c']): Tap => ({
    ...tap(bench, 'a', 0),
    module,
    tensors,
  });

  test('are concatenated on axis 1', async () => {
    await on(BRANCHES, async (bench) => {
      const types = new Map([
        ['a', { dtype: 'float32', shape: [2, 2] }],
        ['c', { dtype: 'float32', shape: [2, 2] }],
      ]);
      const result = planRewrite(bench.view, types, [several(bench)], { ...DEFAULT_PLAN, mode: 'list' });
      expect(names(result)).toEqual(['block']);
      expect(result.edit.outputs?.[0].type).toEqual({ kind: 'tensor', elemType: 1, shape: [2, 4] });
      expect(result.outputs[0].shape).toEqual([2, 4]);
      expect(names(planRewrite(bench.view, types, [several(bench, null)], { ...DEFAULT_PLAN, mode: 'list' }))).toEqual([
        'feature_0',
      ]);
      expect(() =>
        plan(bench, [
          { ...several(bench), index: null },
          { ...several(bench), index: null },
        ]),
      ).toThrow("'a+c' selected twice");
    });
  });

  test.each([
    [
      [2, 'C'],
      [2, 3],
      [2, null],
    ],
    [
      ['N', 2],
      ['N', 3],
      ['N', 5],
    ],
    [
      ['N', 2],
      ['M', 3],
      [null, 5],
    ],
    [[2, 2], null, null],
    [null, [2, 2], null],
    [[2, 2], [2, 2, 2], null],
  ])('of shapes %j and %j make %j', async (first, second, sum) => {
    await on(BRANCHES, async (bench) => {
      const types = new Map([
        ['a', { dtype: 'float32', shape: first }],
        ['c', { dtype: 'float32', shape: second }],
      ]);
      expect(planRewrite(bench.view, types, [several(bench)], DEFAULT_PLAN).outputs[0].shape).toEqual(sum);
    });
  });
});

describe('the FeatureInfo of a cut', () => {
  test('keeps every entry, without the tensors that are gone', async () => {
    await on(
      {
        ...BRANCHES,
        graph: {
          ...BRANCHES.graph,
          initializers: [tensor('w', [1], [1]), tensor('unused', [1], [1])],
          nodes: [...(BRANCHES.graph.nodes ?? []), node('Mul', ['c', 'w'], ['d'])],
        },
      },
      async (bench) => {
        const feature = (name: string | null): Feature => ({ tensor: name }) as Feature;
        const { edit } = plan(bench, [tap(bench, 'd', 0)]);
        const kept = cutFeatures(
          bench.view,
          ['x', 'cond', 'a', 'c', 'w', 'unused', 'd', null, 'gone'].map(feature),
          edit,
        );
        expect(kept.map(({ tensor: name }) => name)).toEqual(['x', null, null, 'c', 'w', null, 'd', null, null]);
      },
    );
  });
});

describe('edits', () => {
  test('that do not fit the model name everything that is wrong', async () => {
    await on(BRANCHES, async ({ model }) => {
      const output = (name: string): { name: string; borrow: null; type: null } => ({ name, borrow: null, type: null });
      const edit = {
        ...EMPTY_EDIT,
        drop: { ...NO_DROPS, nodes: [-1, 4, 0.5], functions: [0], metadata: [7] },
        outputs: [output(''), output('y'), output('y'), output('ghost')],
        addNodes: [{ opType: 'Neg', name: '', inputs: ['phantom', ''], outputs: ['n'] }],
      };
      expect(() => splice(model, edit)).toThrow(
        expect.objectContaining({ name: 'UsageError', code: 'FEATX_USAGE_EDIT' }),
      );
      for (const part of [
        'drop.nodes: -1, 4, 0.5 (the model has 4)',
        'drop.functions: 0 (the model has 0)',
        'drop.metadata: 7',
        'without a name',
        "two outputs named 'y'",
        "nothing makes the output 'ghost'",
        "nothing makes 'phantom', which a new Neg reads",
      ]) {
        expect(() => validateEdit(model, edit)).toThrow(part);
      }
    });
  });

  test('that drop what an output needs are refused', async () => {
    await on('fixtures/models/11-sparse-initializer.onnx', async ({ model }) => {
      const output = { name: 'sparse_weight', borrow: null, type: null };
      expect(() => validateEdit(model, { ...EMPTY_EDIT, outputs: [output] })).not.toThrow();
      expect(() =>
        validateEdit(model, { ...EMPTY_EDIT, outputs: [output], drop: { ...NO_DROPS, sparseInitializers: [0] } }),
      ).toThrow("nothing makes the output 'sparse_weight'");
    });
  });

  test('are empty only where nothing changes', () => {
    expect(isEmpty(EMPTY_EDIT)).toBe(true);
    expect(isEmpty({ ...EMPTY_EDIT, drop: { ...NO_DROPS, trainingInfo: true } })).toBe(false);
    expect(isEmpty({ ...EMPTY_EDIT, drop: { ...NO_DROPS, metadata: [0] } })).toBe(false);
    expect(isEmpty({ ...EMPTY_EDIT, outputs: [] })).toBe(false);
    expect(isEmpty({ ...EMPTY_EDIT, setMetadata: [{ key: 'k', value: 'v' }] })).toBe(false);
  });

  test('are plain data', async () => {
    await on(BRANCHES, async (bench) => {
      const { edit } = plan(bench, [tap(bench, 'a', 0), tap(bench, 'b', 1)]);
      expect(JSON.parse(JSON.stringify(edit))).toEqual(edit);
    });
  });
});

test('thousands of features at once', async () => {
  const count = 5_000;
  const nodes = Array.from({ length: count }, (_, index) =>
    node('Relu', [index === 0 ? 'x' : `t${index - 1}`], [`t${index}`]),
  );
  await on({ graph: { nodes, inputs: [v('x')], outputs: [v(`t${count - 1}`)] } }, async (bench) => {
    const taps = Array.from({ length: count }, (_, index) => tap(bench, 't0', index)).map((each, index) => ({
      ...each,
      tensors: [`t${index}`],
    }));
    const { edit } = plan(bench, taps);
    expect([edit.outputs?.length, edit.addNodes.length]).toEqual([count, count]);
    expect(splice(bench.model, edit).length).toBeGreaterThan(0);
  });
});

describe('what stays', () => {
  const dropped = ({ edit }: Plan): readonly number[] => edit.drop.nodes;

  test('a hook keeps every node; a cut what its outputs need, and those of the model if it is asked to', async () => {
    await on(BRANCHES, async (bench) => {
      const taps = [tap(bench, 'a', 0)];
      const hook = plan(bench, taps, { mode: 'hook', rewrite: false });
      expect(hook.edit.drop).toEqual(NO_DROPS);
      expect(hook.warnings).toEqual(["the type of the output 'a' is not known; only its name is written"]);
      expect(dropped(plan(bench, taps, { mode: 'hook', rewrite: true }))).toEqual([1, 2, 3]);
      expect(dropped(plan(bench, taps))).toEqual([1, 2, 3]);
      expect(dropped(plan(bench, taps, { keepOutputs: true }))).toEqual([]);
      expect(plan(bench, taps, { keepOutputs: true }).edit.drop.initializers).toEqual([0]);
      expect(plan(bench, taps).edit.drop.inputs).toEqual([1]);
    });
  });
});
