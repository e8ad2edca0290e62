import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FeatxError } from './errors.js';
import { extract, type ExtractOptions } from './extract.js';
import { extractBytes } from './in-memory.js';
import type { ExtractReport } from './report/records.js';
import { decodeModel } from './testing/decode.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec, type ModelSpec } from './testing/model-spec.js';
import { run } from './run.js';
import { verify } from './verify.js';

/** Cuts that begin behind the inputs of their model: what graphs do to them, one trap after the other. */
let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'featx-from-'))));
afterAll(() => rm(folder, { recursive: true }));

const v = (name: string, shape: readonly (number | string)[] = ['n', 4]): ReturnType<typeof value> =>
  value(name, shape);
let count = 0;

interface Begun {
  readonly report: ExtractReport;
  readonly graph: GraphParts;
}

interface GraphParts {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly initializers: readonly string[];
  readonly valueInfo: readonly string[];
  readonly nodes: readonly (readonly [op: string, inputs: readonly string[], outputs: readonly string[]])[];
}

/** Cuts a model, and has both run: every output of the cut must be what the model makes, bit for bit. */
async function begun(spec: GraphSpec | ModelSpec, options: ExtractOptions, isRun = true): Promise<Begun> {
  const model = join(folder, `${count}.onnx`);
  const cut = join(folder, `${count++}.cut.onnx`);
  const bytes = encodeModel('graph' in spec ? spec : { graph: spec });
  await writeFile(model, bytes);
  const report = await extract(model, cut, { ...options, isolate: false });
  if (isRun) expect((await verify(model, cut)).equal).toBe(true);
  const made = await extractBytes(bytes, withoutWriting(options));
  const { graph } = decodeModel(made.bytes);
  const names = (list: readonly { name?: string | null }[] | null | undefined): string[] =>
    (list ?? []).map(({ name }) => name ?? '');
  return {
    report,
    graph: {
      inputs: names(graph?.input),
      outputs: names(graph?.output),
      initializers: names(graph?.initializer),
      valueInfo: names(graph?.valueInfo),
      nodes: (graph?.node ?? []).map(({ opType, input, output }) => [opType ?? '', input ?? [], output ?? []]),
    },
  };
}

function withoutWriting({ weights: _weights, ...options }: ExtractOptions): Parameters<typeof extractBytes>[1] {
  return options;
}

async function refused(spec: GraphSpec, options: ExtractOptions): Promise<FeatxError> {
  try {
    await extractBytes(encodeModel({ graph: spec }), withoutWriting(options));
  } catch (error) {
    if (error instanceof FeatxError) return error;
    throw error;
  }
  throw new Error('it was cut');
}

/** `x` -> `a` -> `b` -> `c` -> `y`, with a weight that is read on both sides. */
const CHAIN: GraphSpec = {
  nodes: [
    node('Relu', ['x'], ['a']),
    node('Add', ['a', 'w'], ['b']),
    node('Mul', ['b', 'w'], ['c']),
    node('Neg', ['c'], ['y']),
  ],
  initializers: [weights('w', [4], 1)],
  inputs: [v('x')],
  outputs: [v('y')],
  valueInfo: [v('a'), v('b'), v('c')],
};

describe('6, 7: what a cut may begin at', () => {
  test('a tensor: what lies in front of it goes, a weight of both sides stays, it is declared once', async () => {
    const { report, graph } = await begun(CHAIN, { from: ['b'] });
    expect(graph).toMatchObject({
      inputs: ['b'],
      outputs: ['y'],
      initializers: ['w'],
      valueInfo: ['c'],
      nodes: [
        ['Mul', ['b', 'w'], ['c']],
        ['Neg', ['c'], ['y']],
      ],
    });
    expect(report).toMatchObject({
      from: [{ name: 'b', tensor: 'b', input: 'b', dtype: 'float32', shape: ['n', 4], source: 'node' }],
      inputs_kept: [],
      inputs_dropped: ['x'],
      shapes_folded: [],
      outputs: ['y'],
      features: [],
    });
  });

  test('what follows a beginning is what a run of the cut takes by default', async () => {
    const model = join(folder, 'whole.onnx');
    const cut = join(folder, 'second.onnx');
    await writeFile(model, await readFile('fixtures/timm/test_resnet.ts.onnx'));
    await extract(model, cut, { from: ['module:layer3'], isolate: false });
    const { features } = await run(cut, { inputs: ['random'], isolate: false });
    expect(features).toMatchObject([{ index: null, tensor: 'output', shape: [1, 1000] }]);
  });

  test('an input: it stays; an initializer: its values go, and no default is left', async () => {
    const { report, graph } = await begun(CHAIN, { from: ['x', 'w'] });
    expect(graph.inputs).toEqual(['x', 'w']);
    expect(graph.initializers).toEqual([]);
    expect(report.from?.map(({ source }) => source)).toEqual(['input', 'initializer']);
    expect(report).toMatchObject({ inputs_kept: ['x'], inputs_dropped: [] });
  });

  test('IR version 3: a weight that is an input too stays one, and as a beginning it is an input alone', async () => {
    const spec: ModelSpec = { irVersion: 3, opset: 8, graph: { ...CHAIN, inputs: [v('x'), value('w', [4])] } };
    const kept = await begun(spec, { from: ['b'] });
    expect([kept.graph.inputs, kept.graph.initializers]).toEqual([['w', 'b'], ['w']]);
    const given = await begun(spec, { from: ['b', 'w'] });
    expect([given.graph.inputs, given.graph.initializers]).toEqual([['b', 'w'], []]);
  });

  test('an output that is read further on stays an output: its input has another name', async () => {
    const { graph, report } = await begun({ ...CHAIN, outputs: [v('c'), v('y')] }, { from: ['c'] });
    expect([graph.inputs, graph.outputs]).toEqual([['c_input'], ['c', 'y']]);
    expect(graph.nodes[0]).toEqual(['Identity', ['c_input'], ['c']]);
    expect(report.warnings.join()).toContain("the input that takes its place is named 'c_input'");
  });

  test('a feature that is the beginning leaves through an Identity', async () => {
    const { graph } = await begun(CHAIN, { from: ['b'], select: ['b', 'y'].map((name) => ({ by: 'tensor', name })) });
    expect([graph.inputs, graph.outputs]).toEqual([['b'], ['b_feature', 'y']]);
  });

  test('a name that nothing needs, lies in front of another, or is not there', async () => {
    expect(await refused(CHAIN, { from: ['c'], select: [{ by: 'tensor', name: 'b' }] })).toMatchObject({
      code: 'FEATX_FROM_UNUSED',
      message: "no output of the cut needs 'c'",
    });
    expect(await refused(CHAIN, { from: ['a', 'b', 'x'] })).toMatchObject({ code: 'FEATX_FROM_UNUSED' });
    expect((await refused(CHAIN, { from: ['c', 'b'] })).message).toBe(
      "nothing between 'c' and the outputs reads 'b': it lies in front of it",
    );
    const error = await refused(CHAIN, { from: ['bb', 'module:q'] });
    expect(error.code).toBe('FEATX_RESOLVE_FROM');
    expect(error.message).toContain("no tensor is named 'bb' (nearest: b");
    expect(error.message).toContain("no module is named 'q'");
  });

  test('the same tensor twice is one input; a number that is the name of a tensor is that tensor', async () => {
    const spec: GraphSpec = {
      nodes: [node('Relu', ['x'], ['621']), node('Neg', ['621'], ['y'])],
      inputs: [v('x')],
      outputs: [v('y')],
    };
    expect((await begun(spec, { from: ['621', '621'] })).graph.inputs).toEqual(['621']);
  });
});

describe('1, 4: what goes round a cut', () => {
  /** `x` -> `p` -> `a` -> `b`, and `p` is added behind it; `m` multiplies at the end. */
  const SKIP: GraphSpec = {
    nodes: [
      node('Relu', ['x'], ['p']),
      node('Neg', ['p'], ['a']),
      node('Exp', ['a'], ['b']),
      node('Abs', ['p'], ['q']),
      node('Add', ['b', 'q'], ['c'], {}, { name: '/join/Add' }),
      node('Mul', ['c', 'm'], ['y']),
    ],
    inputs: [v('x'), v('m')],
    outputs: [v('y')],
  };

  test('an input that is no part of it stays; a skip is named with the tensor that holds it up', async () => {
    const error = await refused(SKIP, { from: ['a'] });
    expect(error.code).toBe('FEATX_FROM_UNCOVERED');
    expect(error.message).toBe("the outputs need 'x' besides 'a', through node[3] Abs");
    expect(error.hint).toBe('add `from: ["p"]`, or let the inputs stay with `keepInputs: true`');
    const { report, graph } = await begun(SKIP, { from: ['a', 'p'] });
    expect(graph.inputs).toEqual(['m', 'a', 'p']);
    expect(report).toMatchObject({ inputs_kept: ['m'], inputs_dropped: ['x'] });
  });

  test('on request the inputs stay', async () => {
    const { report, graph } = await begun(SKIP, { from: ['a'], keepInputs: true });
    expect(graph.inputs).toEqual(['x', 'm', 'a']);
    expect(report.inputs_kept).toEqual(['x', 'm']);
    expect(await refused(SKIP, { keepInputs: true, select: [{ by: 'tensor', name: 'b' }] })).toMatchObject({
      code: 'FEATX_USAGE_MODE',
    });
  });

  test('of two frontiers the smaller one is named', async () => {
    const spec: GraphSpec = {
      ...SKIP,
      nodes: [
        node('Relu', ['x'], ['p']),
        node('Neg', ['p'], ['a']),
        node('Exp', ['x'], ['q']),
        node('Sin', ['x'], ['r']),
        node('Add', ['p', 'q'], ['s']),
        node('Add', ['s', 'r'], ['t']),
        node('Add', ['t', 'a'], ['c']),
        node('Mul', ['c', 'm'], ['y']),
      ],
    };
    expect((await refused(spec, { from: ['a'] })).hint).toContain('`from: ["t"]`,');
    expect((await begun(spec, { from: ['a', 't'] })).graph.inputs).toEqual(['m', 'a', 't']);
  });

  test('what is selected in front of a beginning is named', async () => {
    const options: ExtractOptions = { from: ['b', 'q'], select: ['a', 'y'].map((name) => ({ by: 'tensor', name })) };
    expect((await refused(SKIP, options)).message).toBe("'a' lies in front of 'b', 'q' and needs 'x'");
  });
});

test('2: a twin output that is needed: the node stays, and the output that was cut has a fresh name', async () => {
  const spec: GraphSpec = {
    nodes: [
      node('Neg', ['m'], ['k']),
      node('Split', ['k'], ['a', 'b'], { axis: { int: 1 } }),
      node('Mul', ['a', 'b'], ['y']),
    ],
    inputs: [v('m')],
    outputs: [v('y', ['n', 2])],
  };
  expect((await refused({ ...spec }, { from: ['a'] })).hint).toContain('`from: ["b"]`');
  const { graph } = await begun(spec, { from: ['a'], keepInputs: true });
  expect(graph.inputs).toEqual(['m', 'a']);
  expect(graph.nodes[1]).toEqual(['Split', ['k'], ['a_unused', 'b']]);
  const optional: GraphSpec = {
    nodes: [
      node('Relu', ['x'], ['r']),
      node('TopK', ['r', 'k'], ['values', 'indices']),
      node('GatherElements', ['values', 'indices'], ['y'], { axis: { int: 1 } }),
    ],
    initializers: [tensor('k', [1], [2], 'int64')],
    inputs: [v('x')],
    outputs: [v('y', ['n', 2])],
  };
  const { graph: top } = await begun(optional, { from: ['values'], keepInputs: true });
  expect(top.nodes[1]).toEqual(['TopK', ['r', 'k'], ['values_unused', 'indices']]);
});

describe('3: shapes of what lies in front', () => {
  const sized = (shape: readonly (number | string)[], of = 'x', attributes = {}): GraphSpec => ({
    nodes: [
      node('Relu', ['x'], ['a']),
      node('Shape', [of], ['s'], attributes),
      node('Neg', ['a'], ['b']),
      node('Reshape', ['b', 's'], ['y']),
    ],
    inputs: [v('x', shape)],
    outputs: [value('y', null)],
  });

  test('fixed ones become numbers', async () => {
    const { graph, report } = await begun(sized([2, 4]), { from: ['b'] });
    expect(graph.inputs).toEqual(['b']);
    expect(graph.nodes.map(([op]) => op)).toEqual(['Constant', 'Reshape']);
    expect(report.shapes_folded).toEqual([{ tensor: 's', of: 'x', sizes: [2, 4] }]);
  });

  test('symbols are those of the beginning', async () => {
    const { graph, report } = await begun(sized(['n', 4]), { from: ['b'] });
    expect(graph.inputs).toEqual(['b']);
    expect(report.shapes_folded).toEqual([{ tensor: 's', of: 'x', sizes: ['b:0', 4] }]);
    const sliced = sized(['n', 4, 'm'], 'x', { start: { int: -2 } });
    const nodes = [...(sliced.nodes ?? []).slice(0, 3), node('Expand', ['b', 's'], ['y'])];
    const part = await begun({ ...sliced, nodes }, { from: ['b'] });
    expect(part.report.shapes_folded).toEqual([{ tensor: 's', of: 'x', sizes: [4, 'b:2'] }]);
  });

  test('a size that the beginning does not have is an input of its own, not the picture', async () => {
    const spec: GraphSpec = {
      nodes: [node('Shape', ['x'], ['s']), node('GlobalAveragePool', ['x'], ['a']), node('Expand', ['a', 's'], ['y'])],
      inputs: [v('x', ['n', 3, 'h', 'w'])],
      outputs: [value('y', null)],
    };
    const error = await refused(spec, { from: ['a'] });
    expect([error.code, error.hint]).toEqual([
      'FEATX_FROM_UNCOVERED',
      'add `from: ["s"]`, or let the inputs stay with `keepInputs: true`',
    ]);
    const { graph } = await begun(spec, { from: ['a', 's'] });
    expect(graph.inputs).toEqual(['a', 's']);
  });

  test('the shape of what stays is computed as before', async () => {
    const { graph, report } = await begun(sized(['n', 4], 'b'), { from: ['a'] });
    expect(graph.nodes.map(([op]) => op)).toEqual(['Shape', 'Neg', 'Reshape']);
    expect(report.shapes_folded).toEqual([]);
  });
});

describe('5: bodies', () => {
  const branch = (name: string, reads: string): { readonly graph: GraphSpec } => ({
    graph: { name, nodes: [node('Neg', [reads], [`${name}_out`])], outputs: [v(`${name}_out`)] },
  });
  const spec = (reads: string): GraphSpec => ({
    nodes: [
      node('Relu', ['x'], ['a']),
      node('Abs', ['a'], ['b']),
      node('If', ['cond'], ['c'], { then_branch: branch('then', reads), else_branch: branch('else', 'b') }),
      node('Add', ['b', 'c'], ['y']),
    ],
    inputs: [v('x'), value('cond', [], 'bool')],
    outputs: [v('y')],
  });

  test('a body captures the beginning by its name, also under a new one', async () => {
    expect((await begun(spec('b'), { from: ['b'] })).graph.inputs).toEqual(['cond', 'b']);
    const { graph } = await begun(spec('b'), { from: ['b'], inMap: { b: 'maps', cond: 'which' } });
    expect(graph.inputs).toEqual(['which', 'maps']);
    expect(graph.nodes.slice(0, 2)).toEqual([
      ['Identity', ['which'], ['cond']],
      ['Identity', ['maps'], ['b']],
    ]);
  });

  test('a body captures an input that is dropped', async () => {
    expect((await refused(spec('x'), { from: ['b'] })).message).toBe(
      "the outputs need 'x' besides 'b', through node[2] If",
    );
    expect((await begun(spec('x'), { from: ['b', 'x'] })).graph.inputs).toEqual(['x', 'cond', 'b']);
  });

  test('what lives in a body is no input of the graph', async () => {
    const error = await refused(spec('b'), { from: ['then_out'] });
    expect(error.message).toContain("'then_out' lives inside the then_branch of node[2] If");
    expect(error.hint).toBe('begin behind it, with `from: ["c"]`');
  });

  test('a new name that a body uses is refused, as is an old one that is no input', async () => {
    const error = await refused(spec('b'), { from: ['b'], inMap: { b: 'then_out', q: 'r' } });
    expect([error.code, error.message]).toEqual([
      'FEATX_USAGE_IN_MAP',
      "`inMap`: 'then_out' is taken by another tensor; 'q' is not an input of the cut",
    ]);
    expect(error.hint).toBe("the inputs of the cut are 'cond', 'b'");
    const exchanged = await refused(spec('b'), { from: ['b'], inMap: { b: 'cond', cond: 'b' } });
    expect(exchanged.message).toContain("'cond' gets another name too, but stays in the graph under its own");
  });
});

test('inputs have new names without a beginning too, in a hook as in a cut', async () => {
  for (const mode of ['list', 'hook'] as const) {
    const { graph } = await begun(CHAIN, { mode, select: [{ by: 'tensor', name: 'b' }], inMap: { x: 'pixels' } });
    expect([graph.inputs, graph.nodes[0]]).toEqual([['pixels'], ['Identity', ['pixels'], ['x']]]);
  }
});

test('8: a type that nothing says is refused', async () => {
  const spec: GraphSpec = {
    nodes: [node('Strange', ['x'], ['a'], {}, { domain: 'some.where' }), node('Relu', ['a'], ['y'])],
    inputs: [v('x')],
    outputs: [v('y')],
  };
  const bytes = encodeModel({
    opset: [
      ['', 17],
      ['some.where', 1],
    ],
    graph: spec,
  });
  await expect(extractBytes(bytes, { from: ['a'] })).rejects.toMatchObject({
    code: 'FEATX_FROM_TYPE',
    message: "the cut cannot begin at 'a': nothing says the type of 'a', and an input must have one",
  });
});

test.each(['dict', 'list', 'hook'] as const)(
  '%s mode: features from a beginning on, with and without outputs',
  async (mode) => {
    const select = [{ by: 'tensor', name: 'c' } as const];
    expect((await begun(CHAIN, { from: ['a'], select, mode })).graph.outputs).toEqual(
      mode === 'hook' ? ['y', 'c'] : ['c'],
    );
    expect((await begun(CHAIN, { from: ['a'], select, mode, keepOutputs: true })).graph.outputs).toEqual(
      mode === 'hook' ? ['y', 'c'] : ['c', 'y'],
    );
  },
);

test.each(['keep', 'embed', 'external', 'reference'] as const)('weights %s', async (weightsMode) => {
  const { report } = await begun(
    {
      ...CHAIN,
      initializers: [weights('w', [4, 4], 1)],
      nodes: [node('Relu', ['x'], ['a']), node('MatMul', ['a', 'w'], ['y'])],
    },
    { from: ['a'], weights: weightsMode },
  );
  expect(report.kept.weights_bytes).toBe(64);
});
