import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { SplitManifest } from './report/split-records.js';
import { split, type SplitOptions } from './split.js';
import { decodeModel } from './testing/decode.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, weights, type GraphSpec, type ModelSpec } from './testing/model-spec.js';
import { verify } from './verify.js';

/** Models in parts: what they compute one after the other is what the model computes, bit for bit. */
let folder: string;
beforeAll(async () => (folder = await mkdtemp(join(tmpdir(), 'featx-split-'))));
afterAll(() => rm(folder, { recursive: true }));

const v = (name: string, shape: readonly (number | string)[] = ['n', 4]): ReturnType<typeof value> =>
  value(name, shape);
let count = 0;

interface Parts {
  readonly manifest: SplitManifest;
  readonly path: string;
  readonly model: string;
  readonly imbalance: number | null;
  readonly warnings: readonly string[];
  readonly graphs: readonly {
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
    readonly ops: readonly string[];
    readonly functions: number;
    readonly bytes: number;
  }[];
}

async function parted(spec: GraphSpec | ModelSpec, options: SplitOptions, name = `m${count++}`): Promise<Parts> {
  const model = join(folder, `${name}.onnx`);
  await writeFile(model, encodeModel('graph' in spec ? spec : { graph: spec }));
  const report = await split(model, null, { ...options, isolate: false });
  const path = join(folder, `${name}.split.json`);
  expect(report.manifest).toBe(path);
  const manifest = JSON.parse(await readFile(path, 'utf8')) as SplitManifest;
  expect(await verify(model, path)).toMatchObject({ equal: true });
  const graphs = await Promise.all(
    manifest.parts.map(async ({ file }) => {
      const bytes = await readFile(join(folder, file));
      const { graph, functions } = decodeModel(bytes);
      return {
        inputs: (graph?.input ?? []).map((input) => input.name ?? ''),
        outputs: (graph?.output ?? []).map((output) => output.name ?? ''),
        ops: (graph?.node ?? []).map(({ opType }) => opType ?? ''),
        functions: functions?.length ?? 0,
        bytes: bytes.length,
      };
    }),
  );
  return { manifest, path, model, graphs, imbalance: report.imbalance, warnings: report.warnings };
}

/** What a manifest says of how its parts go together. */
interface Wiring {
  outputs: string[];
  readonly parts: readonly { readonly inputs: { name: string; from: number | string }[]; readonly outputs: string[] }[];
}

/** `x` -> four products with weights of 64 bytes; the first is added at the end. */
const CHAIN: GraphSpec = {
  nodes: [
    node('MatMul', ['x', 'w0'], ['a']),
    node('MatMul', ['a', 'w1'], ['b']),
    node('MatMul', ['b', 'w2'], ['c']),
    node('MatMul', ['c', 'w3'], ['d']),
    node('Add', ['d', 'a'], ['y']),
  ],
  initializers: [0, 1, 2, 3].map((index) => weights(`w${index}`, [4, 4], index)),
  inputs: [v('x')],
  outputs: [v('y')],
};

describe('places that are named', () => {
  test('one tensor: what goes round it crosses too, under its own name', async () => {
    const { graphs, manifest } = await parted(CHAIN, { at: ['b'] });
    expect(graphs).toMatchObject([
      { inputs: ['x'], outputs: ['a', 'b'], ops: ['MatMul', 'MatMul'] },
      { inputs: ['b', 'a'], outputs: ['y'], ops: ['MatMul', 'MatMul', 'Add'] },
    ]);
    expect(manifest.cuts).toEqual([
      {
        at: 'b',
        frontier: [
          { tensor: 'b', dtype: 'float32', shape: ['n', 4], bytes: 16 },
          { tensor: 'a', dtype: 'float32', shape: ['n', 4], bytes: 16 },
        ],
      },
    ]);
    expect(manifest.parts.map(({ inputs }) => inputs)).toEqual([
      [{ name: 'x', from: 'model' }],
      [
        { name: 'b', from: 1 },
        { name: 'a', from: 1 },
      ],
    ]);
  });

  test('several, in any order; a tensor that skips a part is handed on', async () => {
    const { graphs, manifest } = await parted(CHAIN, { at: ['c', 'b'] });
    expect(graphs.map(({ inputs, outputs }) => [inputs.toSorted(), outputs])).toEqual([
      [['x'], ['a', 'b']],
      [['b'], ['c']],
      [['a', 'c'], ['y']],
    ]);
    expect(manifest.cuts.map(({ at }) => at)).toEqual(['b', 'c']);
    expect(manifest.parts[2].inputs).toContainEqual({ name: 'a', from: 1 });
  });

  test('of two frontiers the smaller one', async () => {
    const spec: GraphSpec = {
      nodes: [
        node('Relu', ['x'], ['a']),
        node('Exp', ['x'], ['p']),
        node('Sin', ['x'], ['q']),
        node('Add', ['p', 'q'], ['s']),
        node('ReduceSum', ['s', 'axis'], ['r']),
        node('Neg', ['a'], ['b']),
        node('Add', ['b', 'r'], ['y']),
      ],
      initializers: [tensor('axis', [1], [1], 'int64')],
      inputs: [v('x')],
      outputs: [v('y')],
    };
    // With all that `a` is made of in front, the input crosses; with all that is made of `a` behind, `r` does.
    const { graphs } = await parted(spec, { at: ['a'] });
    expect(graphs.map(({ inputs }) => inputs)).toEqual([['x'], expect.arrayContaining(['a', 'r'])]);
    const late: GraphSpec = {
      nodes: [
        node('Relu', ['x'], ['a']),
        node('Neg', ['a'], ['b']),
        node('Exp', ['m'], ['p']),
        node('Sin', ['m'], ['q']),
        node('Add', ['p', 'q'], ['r']),
        node('Add', ['b', 'r'], ['y']),
      ],
      inputs: [v('x'), v('m')],
      outputs: [v('y')],
    };
    expect((await parted(late, { at: ['a'] })).graphs[1].inputs).toEqual(expect.arrayContaining(['a', 'm']));
  });

  test.each<[readonly string[], string]>([
    [['x'], 'FEATX_SPLIT_POINT'],
    [['w0'], 'FEATX_SPLIT_POINT'],
    [['y'], 'FEATX_SPLIT_EMPTY'],
    [['q'], 'FEATX_RESOLVE_AT'],
  ])('%j is refused: %s', async (at, code) => {
    const model = join(folder, 'refused.onnx');
    await writeFile(model, encodeModel({ graph: CHAIN }));
    await expect(split(model, null, { at, isolate: false })).rejects.toMatchObject({ code });
  });

  test('places beside one another are refused', async () => {
    const model = join(folder, 'beside.onnx');
    const nodes = [node('Relu', ['x'], ['a']), node('Neg', ['x'], ['b']), node('Add', ['a', 'b'], ['y'])];
    await writeFile(model, encodeModel({ graph: { nodes, inputs: [v('x')], outputs: [v('y')] } }));
    await expect(split(model, null, { at: ['a', 'b'] })).rejects.toMatchObject({ code: 'FEATX_SPLIT_ORDER' });
    await expect(split(model, null, {})).rejects.toMatchObject({ code: 'FEATX_USAGE_SPLIT' });
    await expect(split(model, join(folder, 'one.onnx'), { at: ['a'] })).rejects.toMatchObject({
      code: 'FEATX_USAGE_TEMPLATE',
    });
  });
});

describe('9: what parts need', () => {
  test('what depends on no input is in every part that reads it; a shape crosses as numbers', async () => {
    const spec: GraphSpec = {
      nodes: [
        node('Exp', ['w'], ['k']),
        node('Shape', ['x'], ['s']),
        node('Mul', ['x', 'k'], ['a']),
        node('Relu', ['a'], ['b']),
        node('Mul', ['b', 'k'], ['c']),
        node('Reshape', ['c', 's'], ['y']),
      ],
      initializers: [weights('w', [4], 1)],
      inputs: [v('x')],
      outputs: [v('y')],
    };
    const { graphs, manifest } = await parted(spec, { at: ['b'] });
    expect(graphs.map(({ ops }) => ops)).toEqual([
      ['Exp', 'Shape', 'Mul', 'Relu'],
      ['Exp', 'Mul', 'Reshape'],
    ]);
    expect(graphs[1].inputs.toSorted()).toEqual(['b', 's']);
    expect(manifest.shared_weights).toEqual({ count: 1, bytes: 16 });
  });

  test('bodies capture what crosses; both outputs of a node; an output in the middle', async () => {
    const branch = (name: string): { readonly graph: GraphSpec } => ({
      graph: { name, nodes: [node('Add', ['a', 'b'], [`${name}_out`])], outputs: [v(`${name}_out`, ['n', 2])] },
    });
    const spec: GraphSpec = {
      nodes: [
        node('Split', ['x'], ['a', 'b'], { axis: { int: 1 } }),
        node('Abs', ['a'], ['middle']),
        node('If', ['cond'], ['c'], { then_branch: branch('then'), else_branch: branch('else') }),
        node('Mul', ['c', 'middle'], ['y']),
      ],
      inputs: [v('x'), value('cond', [], 'bool')],
      outputs: [v('middle', ['n', 2]), v('y', ['n', 2])],
    };
    const { graphs } = await parted(spec, { at: ['a'] });
    expect(graphs.map(({ inputs, outputs }) => [inputs.toSorted(), outputs])).toEqual([
      [['x'], ['a', 'b']],
      [
        ['a', 'b', 'cond'],
        ['middle', 'y'],
      ],
    ]);
  });

  test('10: functions and overloads go into every part that calls them, and no others', async () => {
    const call = (from: string, to: string, overload = ''): ReturnType<typeof node> =>
      node('F', [from], [to], {}, { domain: 'f', overload });
    const spec: ModelSpec = {
      irVersion: 10,
      opset: [
        ['', 17],
        ['f', 1],
      ],
      functions: [
        {
          name: 'F',
          domain: 'f',
          inputs: ['p'],
          outputs: ['q'],
          nodes: [node('Add', ['p', 'p'], ['q'])],
          opset: [['', 17]],
        },
        {
          name: 'F',
          domain: 'f',
          overload: 'o',
          inputs: ['p'],
          outputs: ['q'],
          nodes: [node('Neg', ['p'], ['q'])],
          opset: [['', 17]],
        },
      ],
      graph: {
        nodes: [call('x', 'a'), call('a', 'b'), call('b', 'y', 'o')],
        valueInfo: [v('a'), v('b')],
        inputs: [v('x')],
        outputs: [v('y')],
      },
    };
    const { graphs } = await parted(spec, { at: ['a', 'b'] });
    expect(graphs.map(({ functions }) => functions)).toEqual([1, 1, 1]);
    expect((await parted(spec, { at: ['a'] })).graphs.map(({ functions }) => functions)).toEqual([1, 2]);
  });

  test('parts that point into the original are small, and refuse one that changed', async () => {
    const large: GraphSpec = {
      ...CHAIN,
      initializers: [0, 1, 2, 3].map((index) => weights(`w${index}`, [64, 64], index)),
      inputs: [v('x', ['n', 64])],
      outputs: [v('y', ['n', 64])],
    };
    const { graphs, model, path } = await parted(large, { at: ['b'], weights: 'reference' });
    expect(Math.max(...graphs.map(({ bytes }) => bytes))).toBeLessThan(4_000);
    await writeFile(model, encodeModel({ graph: large, producer: ['other', ''] }));
    await expect(verify(model, path)).rejects.toMatchObject({ code: 'FEATX_SPLIT_CHANGED' });
    await writeFile(
      model,
      encodeModel({ graph: { ...large, initializers: [...(large.initializers ?? [])].reverse() } }),
    );
    await expect(verify(model, path)).rejects.toThrow(/has as many bytes, \d+, but others/);
  });

  test.each<[string, RegExp, (manifest: Wiring) => void]>([
    ['a part that comes later', /part 2: 'b' does not come from part 2/, ({ parts }) => (parts[1].inputs[0].from = 2)],
    ['an input of the model', /'b' does not come from the model/, ({ parts }) => (parts[1].inputs[0].from = 'model')],
    ['an input that is missing', /part 2: it takes 'b', 'a', not 'b'/, ({ parts }) => parts[1].inputs.pop()],
    ['an output that is missing', /part 1: it gives 'a', 'b', not 'a'/, ({ parts }) => parts[0].outputs.pop()],
    [
      'an output of the model',
      /the outputs of the model are 'y', not 'z'.*no part gives 'z'/,
      (all) => (all.outputs = ['z']),
    ],
    ['what is not a part', /is not a manifest/, ({ parts }) => (parts[1].inputs[0].from = 0)],
  ])('a manifest that is wrong about %s is refused', async (_what, message, change) => {
    const { model, path, manifest } = await parted(CHAIN, { at: ['b'] });
    const wrong = structuredClone(manifest) as unknown as Wiring;
    change(wrong);
    await writeFile(path, JSON.stringify(wrong));
    const refused = verify(model, path);
    await expect(refused).rejects.toMatchObject({ code: 'FEATX_SPLIT_MANIFEST' });
    await expect(refused).rejects.toThrow(message);
  });

  test('a place that is not one speaks of `at`', async () => {
    const model = join(folder, 'nowhere.onnx');
    await writeFile(model, encodeModel({ graph: CHAIN }));
    const refused = split(model, null, { at: ['nowhere'] });
    await expect(refused).rejects.toMatchObject({ code: 'FEATX_RESOLVE_AT', hint: expect.stringContaining('`at: [') });
  });

  test('a part that is not the one that was written is refused', async () => {
    const { model, path, manifest } = await parted(CHAIN, { at: ['b'] });
    const part = join(folder, manifest.parts[1].file);
    await writeFile(part, Buffer.concat([await readFile(part), Uint8Array.of(0x38, 1)]));
    await expect(verify(model, path)).rejects.toMatchObject({ code: 'FEATX_SPLIT_CHANGED' });
    await writeFile(path, '{"schema":1}');
    await expect(verify(model, path)).rejects.toMatchObject({ code: 'FEATX_SPLIT_MANIFEST' });
  });
});

describe('parts of a size', () => {
  test.each([2, 3, 4])('%i of equal weights', async (parts) => {
    const { manifest, imbalance } = await parted(CHAIN, { parts });
    expect(manifest.parts).toHaveLength(parts);
    expect(imbalance).toBeLessThanOrEqual(parts === 3 ? 1.5 : 1);
  });

  test('by operations, by nodes', async () => {
    const spec: GraphSpec = {
      nodes: [
        node('MatMul', ['x', 'w'], ['a']),
        node('Relu', ['a'], ['b']),
        node('Relu', ['b'], ['c']),
        node('Relu', ['c'], ['y']),
      ],
      initializers: [weights('w', [4, 4], 1)],
      inputs: [v('x')],
      outputs: [v('y')],
    };
    const byNodes = await parted(spec, { parts: 2, by: 'nodes' });
    expect(byNodes.manifest.parts.map(({ nodes }) => nodes)).toEqual([2, 2]);
    const byFlops = await parted(spec, { parts: 2, by: 'flops' });
    expect(byFlops.manifest.parts.map(({ nodes }) => nodes)).toEqual([1, 3]);
  });

  test('a weight that is too large is named', async () => {
    const large = {
      ...CHAIN,
      initializers: [
        weights('w0', [4, 4], 0),
        weights('w1', [4, 4], 1),
        weights('w2', [4, 400], 2),
        weights('w3', [400, 4], 3),
      ],
    };
    const { warnings } = await parted({ ...large, inputs: [v('x', [1, 4])], outputs: [v('y', [1, 4])] }, { parts: 4 });
    expect(warnings.join()).toContain("its largest weight is 'w2' of 6400 bytes");
  });

  test('at most so many bytes', async () => {
    expect((await parted(CHAIN, { maxBytes: 128 })).manifest.parts.map(({ weights_bytes: bytes }) => bytes)).toEqual([
      128, 128,
    ]);
    expect((await parted(CHAIN, { maxBytes: 64 })).manifest.parts).toHaveLength(4);
    const model = join(folder, 'bytes.onnx');
    await writeFile(model, encodeModel({ graph: CHAIN }));
    await expect(split(model, null, { maxBytes: 63 })).rejects.toMatchObject({ code: 'FEATX_SPLIT_WEIGHT' });
    await expect(split(model, null, { maxBytes: 256 })).rejects.toMatchObject({ code: 'FEATX_SPLIT_EMPTY' });
    await expect(split(model, null, { parts: 9 })).rejects.toMatchObject({ code: 'FEATX_SPLIT_EMPTY' });
  });
});

test('random nodes are in one part', async () => {
  const spec: GraphSpec = {
    nodes: [
      node('RandomNormal', [], ['r'], { shape: { ints: [4] } }),
      node('Add', ['x', 'r'], ['a']),
      node('Relu', ['a'], ['b']),
      node('Add', ['b', 'r'], ['y']),
    ],
    initializers: [tensor('unused', [1], [1])],
    inputs: [v('x')],
    outputs: [v('y')],
  };
  const { graphs } = await parted(spec, { at: ['b'] });
  expect(graphs.map(({ ops }) => ops)).toEqual([['RandomNormal', 'Add', 'Relu'], ['Add']]);
});

test('nothing is written in a dry run', async () => {
  const model = join(folder, 'dry.onnx');
  await writeFile(model, encodeModel({ graph: CHAIN }));
  const { manifest, parts } = await split(model, null, { parts: 2, dryRun: true });
  expect(parts.map(({ sha256 }) => sha256)).toEqual([null, null]);
  await expect(readFile(manifest)).rejects.toThrow('ENOENT');
});

test('a shape of a shape is where the shape is', async () => {
  const { graphs } = await parted(
    {
      nodes: [
        node('Neg', ['x'], ['a']),
        node('Shape', ['a'], ['dims']),
        node('Shape', ['dims'], ['rank']),
        node('Relu', ['a'], ['b']),
        node('Reshape', ['b', 'dims'], ['c']),
        node('Cast', ['rank'], ['r'], { to: { int: 1 } }),
        node('Add', ['c', 'r'], ['y']),
      ],
      inputs: [v('x')],
      outputs: [v('y')],
    },
    { at: ['b'] },
  );
  expect(graphs.map(({ inputs }) => inputs)).toEqual([['x'], ['b', 'dims', 'r']]);
});
