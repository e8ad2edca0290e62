import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { extract, type ExtractOptions } from './extract.js';
import { extractBytes } from './in-memory.js';
import { indexModel } from './onnx/model.js';
import type { ExtractReport } from './report/records.js';
import { decodeModel } from './testing/decode.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec, type ModelSpec, type TypeSpec } from './testing/model-spec.js';
import { verify } from './verify.js';

/** Sizes of a cut that its model leaves open. */
let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'featx-sizes-'))));
afterAll(() => rm(folder, { recursive: true }));

type Proto = ReturnType<typeof decodeModel>;
type Info = NonNullable<NonNullable<Proto['graph']>['input']>[number];

/** What declarations say, as `name: dims`. */
function dimsOf(list: readonly Info[] | null | undefined): readonly string[] {
  return (list ?? []).map(({ name, type }) => {
    const dims = type?.tensorType?.shape?.dim ?? [];
    return `${name}: ${dims.map((dim) => dim.dimParam || (dim.dimValue == null ? '?' : Number(dim.dimValue))).join(' ')}`;
  });
}

let count = 0;

async function sized(
  spec: GraphSpec | ModelSpec,
  options: ExtractOptions,
): Promise<{ readonly proto: Proto; readonly report: ExtractReport }> {
  const bytes = encodeModel('graph' in spec ? spec : { graph: spec });
  const [model, cut] = [join(folder, `${count}.onnx`), join(folder, `${count++}.cut.onnx`)];
  await writeFile(model, bytes);
  const report = await extract(model, cut, { ...options, isolate: false });
  expect((await verify(model, cut)).equal).toBe(true);
  return { report, proto: decodeModel((await extractBytes(bytes, options)).bytes) };
}

const HOOK: ExtractOptions = { mode: 'hook', select: [{ by: 'tensor', name: 'a' }] };
const float = (...shape: readonly (number | string | null)[]): TypeSpec => ({ tensor: 'float32', shape });

/** Symbols in inputs, outputs, value_info, a body and a function; formulas too. */
const EVERYWHERE: ModelSpec = {
  opset: [
    ['', 17],
    ['f', 1],
  ],
  functions: [
    {
      name: 'Twice',
      domain: 'f',
      inputs: ['p'],
      outputs: ['q'],
      nodes: [node('Add', ['p', 'p'], ['q'])],
      opset: [['', 17]],
      valueInfo: [{ name: 'q', type: float('batch', 'time') }],
    },
  ],
  graph: {
    nodes: [
      node('Twice', ['x'], ['a'], {}, { domain: 'f' }),
      node('If', ['cond'], ['b'], {
        then_branch: {
          graph: {
            name: 'then',
            nodes: [node('Neg', ['a'], ['n']), node('Abs', ['n'], ['t'])],
            valueInfo: [{ name: 'n', type: float('batch', 'time') }],
            outputs: [{ name: 't', type: float('batch', 'time') }],
          },
        },
        else_branch: {
          graph: {
            name: 'else',
            nodes: [node('Relu', ['a'], ['e'])],
            outputs: [{ name: 'e', type: float('batch', 'time') }],
          },
        },
      }),
      node('Concat', ['b', 'b'], ['y'], { axis: { int: 1 } }),
      node('Slice', ['b', 'zero', 'end', 'one', 'two'], ['z']),
    ],
    initializers: [
      tensor('zero', [1], [0], 'int64'),
      tensor('end', [1], [1000], 'int64'),
      tensor('one', [1], [1], 'int64'),
      tensor('two', [1], [2], 'int64'),
    ],
    inputs: [{ name: 'x', type: float('batch', 'time') }, value('cond', [], 'bool')],
    valueInfo: [
      { name: 'a', type: float('batch', 'time') },
      { name: 'b', type: float('batch', 'time') },
    ],
    outputs: [
      { name: 'y', type: float('batch', '2*time') },
      { name: 'z', type: float('batch', '((time - 1)//2) + 1') },
    ],
  },
};

function bodyOf({ graph }: Proto): readonly string[] {
  const then = graph?.node?.[1].attribute?.[0].g;
  return [...dimsOf(then?.valueInfo), ...dimsOf(then?.output)];
}

describe('12: numbers for symbols', () => {
  test('wherever they stand, in formulas too', async () => {
    const { proto, report } = await sized(EVERYWHERE, { ...HOOK, dims: { batch: 2, time: 5 } });
    expect(dimsOf(proto.graph?.input)).toEqual(['x: 2 5', 'cond: ']);
    expect(dimsOf(proto.graph?.output)).toEqual(['y: 2 10', 'z: 2 3', 'a: 2 5']);
    expect(dimsOf(proto.graph?.valueInfo)).toEqual(['b: 2 5']);
    expect(bodyOf(proto)).toEqual(['n: 2 5', 't: 2 5']);
    const bytes = (await extractBytes(encodeModel(EVERYWHERE), { ...HOOK, dims: { batch: 2, time: 5 } })).bytes;
    const [definition] = (await indexModel(bytes)).functions;
    expect(definition.valueInfo.map(({ type }) => type)).toEqual([{ kind: 'tensor', elemType: 1, shape: [2, 5] }]);
    expect(report.dims).toEqual([
      { dim: 'batch', size: 2, at: [{ input: 'x', axis: 0 }] },
      { dim: 'time', size: 5, at: [{ input: 'x', axis: 1 }] },
    ]);
  });

  test('a new name, in formulas too', async () => {
    const { proto } = await sized(EVERYWHERE, { ...HOOK, renameDims: { time: 'frames' }, dims: new Map([['x:0', 3]]) });
    expect(dimsOf(proto.graph?.output)).toEqual(['y: 3 2*frames', 'z: 3 ceil(frames/2)', 'a: 3 frames']);
    expect(bodyOf(proto)).toEqual(['n: 3 frames', 't: 3 frames']);
  });

  test('the letter of a symbol, as narrow tables print it', async () => {
    const { report } = await sized(EVERYWHERE, { ...HOOK, dims: new Map([['B', 3]]), renameDims: { T: 'frames' } });
    expect(report.dims?.map(({ dim, size }) => [dim, size])).toEqual([
      ['batch', 3],
      ['time', 'frames'],
    ]);
  });

  test('0 is 0', async () => {
    const { proto } = await sized(EVERYWHERE, { ...HOOK, dims: { batch: 0 } });
    expect(dimsOf(proto.graph?.input)).toEqual(['x: 0 time', 'cond: ']);
  });

  test('a beginning has the number too', async () => {
    const { report } = await sized(EVERYWHERE, { from: ['b'], dims: { batch: 4, time: 2 } });
    expect(report.from?.[0].shape).toEqual([4, 2]);
  });

  test.each<[ExtractOptions, string, string]>([
    [
      { dims: { bach: 1, 'x:2': 1 } },
      'FEATX_DIM_UNKNOWN',
      "no input has a dim 'bach' (nearest: batch); 'x' has 2 dims, so there is no axis 2",
    ],
    [{ renameDims: { tme: 't' } }, 'FEATX_DIM_UNKNOWN', "no input has a dim 'tme' (nearest: time)"],
    [{ renameDims: { time: '2*t' } }, 'FEATX_USAGE_DIM', "'2*t' would be read as a number or a formula"],
    [{ dims: { batch: 1, 'x:0': 2 } }, 'FEATX_USAGE_DIM', "'batch' gets 1 and 2"],
    [{ dims: { batch: 1 }, renameDims: { batch: 'n' } }, 'FEATX_USAGE_DIM', "'batch' gets a number and a name"],
  ])('%j is refused', async (options, code, message) => {
    const refused = extractBytes(encodeModel(EVERYWHERE), { ...HOOK, ...options });
    await expect(refused).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });
});

test('an axis whose symbol another input has too: only it, and what may be either is left open', async () => {
  const spec: GraphSpec = {
    nodes: [node('Relu', ['x'], ['a']), node('Neg', ['z'], ['b'])],
    inputs: [value('x', ['n', 2]), value('z', ['n', 2])],
    outputs: [value('a', ['n', 2]), value('b', ['n', 2])],
  };
  const { proto, report } = await sized(spec, { ...HOOK, dims: { 'x:0': 3 } });
  expect(dimsOf(proto.graph?.input)).toEqual(['x: 3 2', 'z: n 2']);
  expect(dimsOf(proto.graph?.output)).toEqual(['a: ? 2', 'b: ? 2']);
  expect(report.dims).toEqual([{ dim: 'x:0', size: 3, at: [{ input: 'x', axis: 0 }] }]);
  const named = await sized(spec, { ...HOOK, renameDims: { n: 'm' } });
  expect(dimsOf(named.proto.graph?.input)).toEqual(['x: m 2', 'z: m 2']);
});

test('two symbols of one name are one size, with a warning', async () => {
  const spec: GraphSpec = {
    nodes: [node('Add', ['x', 'z'], ['a'])],
    inputs: [value('x', ['n', 2]), value('z', ['m', 2])],
    outputs: [value('a', ['n', 2])],
  };
  const { report } = await sized(spec, { ...HOOK, renameDims: { m: 'n' } });
  expect(report.warnings.join()).toContain("'m' and 'n' are one size now");
});

test('two symbols exchange their names', async () => {
  const spec: GraphSpec = {
    nodes: [node('MatMul', ['x', 'w'], ['a'])],
    inputs: [value('x', ['n', 'm']), value('w', ['m', 'n'])],
    outputs: [value('a', ['n', 'n'])],
  };
  const { proto, report } = await sized(spec, { ...HOOK, renameDims: { n: 'm', m: 'n' } });
  expect(dimsOf(proto.graph?.input)).toEqual(['x: m n', 'w: n m']);
  expect(dimsOf(proto.graph?.output)).toEqual(['a: m m']);
  expect(report.warnings).toEqual([]);
  const merged = await sized(spec, { ...HOOK, renameDims: { n: 'k', m: 'k' } });
  expect(merged.report.warnings.join()).toContain("'m' and 'k' are one size now");
});

describe('sizes alone are for the whole model', () => {
  const spec: GraphSpec = {
    nodes: [
      node('Conv', ['x', 'w'], ['a'], { strides: { ints: [2, 2] } }),
      node('Relu', ['a'], ['b']),
      node('GlobalAveragePool', ['b'], ['p']),
      node('Flatten', ['p'], ['y']),
    ],
    initializers: [weights('w', [4, 3, 3, 3], 1)],
    inputs: [value('x', ['batch', 3, 32, 32]), value('unused', ['batch'])],
    outputs: [value('y', ['batch', 4])],
  };

  test.each<[ExtractOptions, string]>([
    [{ dims: { batch: 2 } }, '2'],
    [{ renameDims: { batch: 'n' } }, 'n'],
  ])('%j', async (options, batch) => {
    const { proto, report } = await sized(spec, options);
    expect(proto.graph?.node).toHaveLength(4);
    expect(dimsOf(proto.graph?.input)).toEqual([`x: ${batch} 3 32 32`, `unused: ${batch}`]);
    expect(dimsOf(proto.graph?.output)).toEqual([`y: ${batch} 4`]);
    expect(report).toMatchObject({ features: [], outputs: ['y'], dropped: { nodes: 0 }, warnings: [] });
  });

  test('the result is the model still: an index, and what is taken without one, mean the same', async () => {
    const { bytes } = await extractBytes(encodeModel({ graph: spec }), { dims: { batch: 2 } });
    const taken = async (of: Uint8Array): Promise<readonly unknown[]> =>
      (await extractBytes(of)).report.features.map(({ index, tensor }) => [index, tensor]);
    expect(await taken(bytes)).toEqual(await taken(encodeModel({ graph: spec })));
    const { bytes: cut } = await extractBytes(encodeModel({ graph: spec }), { out: [0], pool: 'avg', outMap: ['v'] });
    const again = await extractBytes((await extractBytes(cut, { dims: { batch: 2 } })).bytes);
    expect(again.report.features).toMatchObject([{ index: 0, tensor: 'v', shape: [2, 4] }]);
  });

  test('with a selection, a mode or steps, features are cut out', async () => {
    for (const options of [{ out: [0] }, { mode: 'list' }, { pool: 'avg' }] as const) {
      const { report } = await extractBytes(encodeModel({ graph: spec }), { ...options, dims: { batch: 2 } });
      expect(report.features).toHaveLength(1);
    }
  });
});

test('an axis without a name', async () => {
  const spec: GraphSpec = {
    nodes: [node('Relu', ['x'], ['a'])],
    inputs: [value('x', [null, 2])],
    outputs: [value('a', [null, 2])],
  };
  const { proto } = await sized(spec, { select: [{ by: 'tensor', name: 'a' }], dims: { 'x:-2': 3 } });
  expect([dimsOf(proto.graph?.input), dimsOf(proto.graph?.output)]).toEqual([['x: 3 2'], ['a: 3 2']]);
});

test('a size that the exporter baked into the graph is refused where the cut goes through it', async () => {
  const spec: GraphSpec = {
    nodes: [node('Relu', ['x'], ['a']), node('Reshape', ['a', 'target'], ['y'], {}, { name: 'flatten' })],
    initializers: [tensor('target', [2], [1, 8], 'int64')],
    inputs: [value('x', ['batch', 2, 4])],
    outputs: [value('y', [1, 8])],
  };
  await expect(extractBytes(encodeModel({ graph: spec }), { ...HOOK, dims: { batch: 3 } })).rejects.toMatchObject({
    code: 'FEATX_DIM_BAKED',
    message: expect.stringContaining("these sizes do not go through node[1] Reshape 'flatten'"),
  });
  const { proto } = await sized(spec, { select: [{ by: 'tensor', name: 'a' }], dims: { batch: 3 } });
  expect(dimsOf(proto.graph?.output)).toEqual(['a: 3 2 4']);
  await sized(spec, { ...HOOK, dims: { batch: 1 } });
});
