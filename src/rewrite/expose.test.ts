import * as ort from 'onnxruntime-node';
import { extractBytes, type ExtractBytesOptions } from '../in-memory.js';
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
import { verifyViews } from '../verify.js';

const X = value('x', ['n', 2]);
const BOOL = value('c', [], 'bool');
const COUNT = value('m', [], 'int64');

/** `then`: x + 1 -> * 2; `else`: x - 1. */
const choose = (inner: Partial<NodeSpec> = {}): NodeSpec => ({
  ...node('If', ['c'], ['y'], {
    then_branch: {
      graph: {
        nodes: [node('Add', ['x', 'one'], ['r']), node('Mul', ['r', 'two'], ['t'])],
        outputs: [value('t', ['n', 2])],
      },
    },
    else_branch: {
      graph: { nodes: [node('Sub', ['x', 'one'], ['e'])], outputs: [value('e', ['n', 2])] },
    },
  }),
  name: 'If_0',
  ...inner,
});

/** Adds x to a state m times; `twice` is made in each round. */
const rounds = (name = 'Loop_0'): NodeSpec => ({
  ...node('Loop', ['m', '', 'x'], ['last'], {
    body: {
      graph: {
        nodes: [
          node('Add', ['s', 'x'], ['sum']),
          node('Mul', ['sum', 'two'], ['twice']),
          node('Identity', ['go'], ['on']),
        ],
        inputs: [value('i', [], 'int64'), value('go', [], 'bool'), value('s', ['n', 2])],
        outputs: [value('on', [], 'bool'), value('sum', ['n', 2])],
      },
    },
  }),
  name,
});

const CONSTANTS = [tensor('one', [], [1]), tensor('two', [], [2])];

function model(graph: Partial<GraphSpec>, more: Partial<ModelSpec> = {}): Uint8Array {
  return encodeModel({ opset: 17, ...more, graph: { initializers: CONSTANTS, ...graph } });
}

const IF = model({ nodes: [choose()], inputs: [BOOL, X], outputs: [value('y', ['n', 2])] });
const LOOP = model({ nodes: [rounds()], inputs: [COUNT, X], outputs: [value('last', ['n', 2])] });

async function tapped(
  bytes: Uint8Array,
  names: readonly string[],
  options: ExtractBytesOptions = {},
): Promise<Uint8Array> {
  const select = names.map((name) => ({ by: 'tensor' as const, name }));
  return (await extractBytes(bytes, { select, ...options })).bytes;
}

type Feeds = Readonly<Record<string, ort.Tensor>>;

async function run(
  bytes: Uint8Array,
  feeds: Feeds,
): Promise<Record<string, { dims: readonly number[]; data: number[] }>> {
  const session = await ort.InferenceSession.create(bytes, { logSeverityLevel: 4, graphOptimizationLevel: 'disabled' });
  try {
    const known = Object.fromEntries(Object.entries(feeds).filter(([name]) => session.inputNames.includes(name)));
    const results = await session.run(known);
    return Object.fromEntries(
      Object.entries(results).map(([name, { dims, data }]) => [
        name,
        { dims, data: Array.from(data as Float32Array, Number) },
      ]),
    );
  } finally {
    await session.release();
  }
}

const floats = (...data: number[]): ort.Tensor =>
  new ort.Tensor('float32', Float32Array.from(data), [data.length / 2, 2]);
const is = (yes: boolean): ort.Tensor => new ort.Tensor('bool', [yes], []);
const times = (count: number): ort.Tensor => new ort.Tensor('int64', [BigInt(count)], []);

test.each(['If_0/then_branch::r', 'r'])(
  '%s: the value of a branch that is taken, and nothing of one that is not',
  async (name) => {
    const bytes = await tapped(IF, [name, 'y']);
    const output = 'If_0/then_branch::r';
    expect((await run(bytes, { c: is(true), x: floats(1, 2, 3, 4) }))[output]).toEqual({
      dims: [2, 2],
      data: [2, 3, 4, 5],
    });
    const other = await run(bytes, { c: is(false), x: floats(1, 2, 3, 4) });
    expect(other[output]).toEqual({ dims: [0, 0], data: [] });
    expect(other['y'].data).toEqual([0, 1, 2, 3]);
  },
);

test.each(['hook', 'list', 'dict'] as const)('as %s, both branches at once', async (mode) => {
  const bytes = await tapped(IF, ['If_0/then_branch::r', 'If_0/else_branch::e'], { mode });
  const yes = await run(bytes, { c: is(true), x: floats(1, 2) });
  const no = await run(bytes, { c: is(false), x: floats(1, 2) });
  expect([yes['If_0/then_branch::r'].data, yes['If_0/else_branch::e'].dims]).toEqual([
    [2, 3],
    [0, 0],
  ]);
  expect([no['If_0/then_branch::r'].dims, no['If_0/else_branch::e'].data]).toEqual([
    [0, 0],
    [0, 1],
  ]);
  if (mode === 'hook') expect(yes['y'].data).toEqual([4, 6]);
});

test.each([
  [0, [0, 2], []],
  [1, [1, 1, 2], [4, 8]],
  [3, [3, 1, 2], [4, 8, 6, 12, 8, 16]],
])('a loop of %d rounds: one value a round', async (count, dims, data) => {
  const bytes = await tapped(LOOP, ['twice', 'last']);
  const got = await run(bytes, { m: times(count), x: floats(1, 2) });
  expect(got['Loop_0/body::twice'].data).toEqual(data);
  // Without a round, ONNX Runtime gives what it knows of the shape.
  if (count > 0) expect(got['Loop_0/body::twice'].dims).toEqual(dims);
  expect(got['last'].data).toEqual([1, 2].map((start) => start * (count + 1)));
});

test('a branch inside a loop, inside out', async () => {
  const body: NodeSpec = {
    ...node('Loop', ['m', '', 'x'], ['last'], {
      body: {
        graph: {
          nodes: [choose({ name: 'pick' }), node('Add', ['s', 'y'], ['sum']), node('Identity', ['go'], ['on'])],
          inputs: [value('i', [], 'int64'), value('go', [], 'bool'), value('s', ['n', 2])],
          outputs: [value('on', [], 'bool'), value('sum', ['n', 2])],
        },
      },
    }),
    name: 'again',
  };
  const bytes = await tapped(model({ nodes: [body], inputs: [COUNT, BOOL, X], outputs: [value('last', ['n', 2])] }), [
    'r',
  ]);
  const got = await run(bytes, { m: times(2), c: is(true), x: floats(1, 2) });
  expect(got['again/body/pick/then_branch::r']).toEqual({ dims: [2, 1, 2], data: [2, 3, 2, 3] });
});

test('a scan that stacks outputs along other axes', async () => {
  const scan: NodeSpec = {
    ...node('Scan', ['x', 'rows'], ['final', 'sums'], {
      num_scan_inputs: { int: 1 },
      scan_output_axes: { ints: [1] },
      body: {
        graph: {
          nodes: [
            node('Add', ['s', 'row'], ['next']),
            node('Mul', ['next', 'two'], ['double']),
            node('Identity', ['next'], ['copy']),
          ],
          inputs: [value('s', [2]), value('row', [2])],
          outputs: [value('next', [2]), value('copy', [2])],
        },
      },
    }),
    name: 'Scan_0',
  };
  const bytes = await tapped(
    model({
      nodes: [scan],
      inputs: [value('x', [2]), value('rows', [3, 2])],
      outputs: [value('final', [2]), value('sums', [2, 3])],
    }),
    ['double', 'sums'],
  );
  const got = await run(bytes, {
    x: new ort.Tensor('float32', [0, 0], [2]),
    rows: new ort.Tensor('float32', [1, 2, 3, 4, 5, 6], [3, 2]),
  });
  expect(got['Scan_0/body::double']).toEqual({ dims: [3, 2], data: [2, 4, 8, 12, 18, 24] });
  expect(got['sums']).toEqual({ dims: [2, 3], data: [1, 4, 9, 2, 6, 12] });
});

const CALLED = model(
  {
    nodes: [
      { ...node('Outer', ['x'], ['a']), domain: 'my', name: 'first' },
      { ...node('Outer', ['a'], ['y']), domain: 'my', name: 'second' },
      { ...node('Inner', ['y'], ['z']), domain: 'my', name: 'third' },
    ],
    inputs: [X],
    outputs: [value('z', ['n', 2])],
  },
  {
    opset: [
      ['', 17],
      ['my', 1],
    ],
    functions: [
      {
        name: 'Outer',
        domain: 'my',
        inputs: ['p'],
        outputs: ['q'],
        nodes: [{ ...node('Inner', ['p'], ['o']), domain: 'my', name: 'in' }, node('Neg', ['o'], ['q'])],
        opset: [
          ['', 17],
          ['my', 1],
        ],
      },
      {
        name: 'Inner',
        domain: 'my',
        inputs: ['u'],
        outputs: ['v'],
        nodes: [node('Add', ['u', 'u'], ['h']), node('Add', ['h', 'u'], ['v'])],
      },
    ],
  },
);

test('a function in a function that is called twice: the value of one call, and every call still fits', async () => {
  await expect(tapped(CALLED, ['h'])).rejects.toMatchObject({
    code: 'FEATX_RESOLVE_INSIDE',
    hint: expect.stringContaining("'first/in::h', 'second/in::h', 'third::h'"),
  });
  const bytes = await tapped(CALLED, ['second/in::h', 'third::h'], { mode: 'hook' });
  const got = await run(bytes, { x: floats(1, 2) });
  expect(got['z'].data).toEqual([27, 54]);
  expect(got['second/in::h']).toEqual({ dims: [1, 2], data: [-6, -12] });
  expect(got['third::h']).toEqual({ dims: [1, 2], data: [18, 36] });
});

test.each([
  ['IF', IF, 'r', {}],
  ['LOOP', LOOP, 'twice', {}],
  ['CALLED', CALLED, 'first/in::h', {}],
  ['IF, pooled', IF, 'r', { normalize: true, flatten: true }],
] as const)('verify compares what leaves with the same of the model: %s', async (_name, bytes, name, options) => {
  const view = async (of: Uint8Array): Promise<ReturnType<typeof viewGraph>> => viewGraph(await indexModel(of));
  const cut = await tapped(bytes, [name], options);
  const { equal, features } = await verifyViews(await view(bytes), await view(cut), {});
  expect(features).toHaveLength(1);
  expect(equal).toBe(true);
});

/** A loop with some nodes in its body. */
const around = (nodes: readonly NodeSpec[], shape: Parameters<typeof value>[1], name: string): NodeSpec => ({
  ...node('Loop', ['m', '', 'x'], [`${name}_last`], {
    body: {
      graph: {
        nodes: [...nodes, node('Identity', ['go'], ['on'])],
        inputs: [value('i', [], 'int64'), value('go', [], 'bool'), value('s', shape)],
        outputs: [value('on', [], 'bool'), value('next', shape)],
      },
    },
  }),
  name,
});

/** A branch that a condition of the body chooses, inside a loop. */
const branching = (condition: readonly NodeSpec[]): Uint8Array =>
  model({
    nodes: [around([...condition, choose({ inputs: ['now'] }), node('Add', ['s', 'y'], ['next'])], ['n', 2], 'outer')],
    inputs: [COUNT, BOOL, X],
    outputs: [value('outer_last', ['n', 2])],
  });

test('verify takes a branch both ways: one that differs is found, whichever way the seed goes', async () => {
  const view = async (of: Uint8Array): Promise<ReturnType<typeof viewGraph>> => viewGraph(await indexModel(of));
  const cut = await tapped(IF, ['If_0/then_branch::r', 'If_0/else_branch::e']);
  expect((await verifyViews(await view(IF), await view(cut))).warnings.join()).not.toContain('has no elements');
  const other = model({
    nodes: [choose()],
    inputs: [BOOL, X],
    outputs: [value('y', ['n', 2])],
    initializers: [tensor('one', [], [3]), CONSTANTS[1]],
  });
  const { features } = await verifyViews(await view(other), await view(cut));
  expect(features.map(({ equal }) => equal)).toEqual([false, false]);
});

test('a call of an overload: the value of that call, of that overload', async () => {
  const overload = (name: string, op: string): FunctionSpec => ({
    name: 'F',
    domain: 'my',
    overload: name,
    inputs: ['p'],
    outputs: ['q'],
    nodes: [node(op, ['p', 'p'], ['h']), node('Neg', ['h'], ['q'])],
  });
  const call = (input: string, output: string, name: string): NodeSpec => ({
    ...node('F', [input], [output]),
    domain: 'my',
    overload: name,
    name: `call_${name}`,
  });
  const bytes = model(
    { nodes: [call('x', 'a', 'add'), call('a', 'y', 'mul')], inputs: [X], outputs: [value('y', ['n', 2])] },
    {
      irVersion: 10,
      opset: [
        ['', 17],
        ['my', 1],
      ],
      functions: [overload('add', 'Add'), overload('mul', 'Mul')],
    },
  );
  const cut = await tapped(bytes, ['call_mul::h', 'call_add::h'], { mode: 'hook' });
  const got = await run(cut, { x: floats(1, 2) });
  expect([got['call_add::h'].data, got['call_mul::h'].data, got['y'].data]).toEqual([
    [2, 4],
    [4, 16],
    [-4, -16],
  ]);
});

test('a branch in a loop whose condition is the same in every round', async () => {
  const bytes = await tapped(branching([node('Not', ['c'], ['now'])]), ['r']);
  const got = await run(bytes, { m: times(2), c: is(false), x: floats(1, 2) });
  expect(got['outer/body/If_0/then_branch::r']).toEqual({ dims: [2, 1, 2], data: [2, 3, 2, 3] });
});

test.each([
  [
    'its axis 0 may have another size in every round',
    'kept',
    model({
      // The symbol that the body declares is not the size of every round.
      nodes: [
        around(
          [node('Concat', ['s', 'x'], ['next'], { axis: { int: 0 } }), node('Relu', ['next'], ['kept'])],
          ['k', 2],
          'grow',
        ),
      ],
      inputs: [COUNT, X],
      outputs: [value('grow_last', [null, 2])],
    }),
  ],
  [
    'may take its then_branch in some rounds and not in others',
    'r',
    branching(
      [
        node('Less', ['i', 'last_round'], ['now']),
        node('Sub', ['m', 'one_round'], ['last_round']),
        node('Constant', [], ['one_round'], { value_int: { int: 1 } }),
      ].toReversed(),
    ),
  ],
  [
    'another number of rounds each time',
    'twice',
    model({
      nodes: [
        around(
          [{ ...rounds('inner'), inputs: ['i', '', 's'] }, node('Identity', ['last'], ['next'])],
          ['n', 2],
          'outer',
        ),
      ],
      inputs: [COUNT, X],
      outputs: [value('outer_last', ['n', 2])],
    }),
  ],
  [
    'opset 10 has both branches of one shape',
    'r',
    model({ nodes: [choose()], inputs: [BOOL, X], outputs: [value('y', ['n', 2])] }, { opset: 10 }),
  ],
])('what cannot leave says why', async (why, name, bytes) => {
  await expect(tapped(bytes, [name])).rejects.toMatchObject({
    code: 'FEATX_INSIDE',
    message: expect.stringContaining(why),
  });
});
