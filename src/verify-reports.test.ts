import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StoredInfo } from './features/stored-info.js';
import { encodeModel } from './testing/model-builder.js';
import { node, tensor, value, type GraphSpec, type NodeSpec } from './testing/model-spec.js';
import { drawn, mirror, modelBytes, splitInto, valuesFile } from './testing/sides.js';
import { verify } from './verify.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-verify-reports-'));
afterAll(() => rmSync(folder, { recursive: true }));

const scaled = (by: number, more: Partial<GraphSpec> = {}): GraphSpec => ({
  inputs: [value('x', [1, 4])],
  outputs: [value('y', null, null)],
  initializers: [tensor('by', [], [by])],
  nodes: [node('Mul', ['x', 'by'], ['y'])],
  ...more,
});
const same = (name: string, output = name) => ({
  index: null,
  tensor: name,
  output,
  equal: true,
  bit_equal: true,
  max_difference: 0,
  tolerance: 0.001,
});

/** A cut that says what its outputs are. */
const cutBytes = (
  graph: GraphSpec,
  info: { readonly outputs: readonly object[] } & Partial<Omit<StoredInfo, 'outputs'>>,
): Uint8Array => {
  const feature = { index: 0, module: null, tensor: 'y', num_chs: 4, reduction: null, because: 'a test' };
  const outputs = info.outputs.map((output) => ({ layout: null, prefix_tokens: 0, converted: false, ...output }));
  const stored = { schema: 1, feature_info: [feature], out_indices: [0], ...info, outputs };
  return encodeModel({ graph, opset: 21, irVersion: 10, metadata: [['featx.feature_info', JSON.stringify(stored)]] });
};

describe('the report', () => {
  const [model, cut] = [join(folder, 'model.onnx'), join(folder, 'cut.onnx')];
  beforeAll(() => {
    for (const path of [model, cut]) writeFileSync(path, modelBytes(scaled(2)));
  });

  test('of files, by their paths', async () => {
    const before = performance.now();
    const report = await verify(model, cut);
    const elapsed = performance.now() - before;
    expect(report).toStrictEqual({
      schema: 1,
      command: 'verify',
      model,
      extracted: cut,
      equal: true,
      reason: null,
      preprocessing: [],
      features: [same('y')],
      warnings: [],
      elapsed_ms: expect.any(Number),
    });
    expect(report.elapsed_ms).toBeLessThanOrEqual(Math.ceil(elapsed));
  });

  test('of models in memory, and by names that are given', async () => {
    const [one, other] = [modelBytes(scaled(2)), modelBytes(scaled(3))];
    expect(await verify(one, other)).toMatchObject({ model: null, extracted: null, equal: false, reason: null });
    expect(await verify(one, cut, { names: ['a', 'b'] })).toMatchObject({ model: 'a', extracted: 'b', equal: true });
  });

  test('names what was drawn, how much of the files was compared, and what says little, in this order', async () => {
    const noisy = scaled(0, {
      inputs: [value('x', ['n', 1])],
      outputs: ['y', 'z'].map((name) => value(name, null, null)),
    });
    const bytes = modelBytes({ ...noisy, nodes: [...(noisy.nodes ?? []), node('RandomNormalLike', ['x'], ['z'])] });
    const many = join(folder, 'many.pb');
    writeFileSync(
      many,
      valuesFile(
        [17, 1],
        Array.from({ length: 17 }, () => 1),
      ),
    );
    expect(await verify(bytes, bytes, { inputs: [many] })).toMatchObject({
      equal: true,
      features: [same('y'), same('z')],
      warnings: [
        'node[1] RandomNormalLike gives other values in every run: both models were run with the same seed for it',
        'the first 16 of 17 entries were compared',
        'y has one value everywhere, which says little: try other `inputs`',
      ],
    });
  });

  test('says how pictures were prepared', async () => {
    const bytes = modelBytes(mirror(['n', 3, 'h', 'w']));
    const inputs = [join('fixtures', 'tensors', 'picture.png')];
    const { equal, preprocessing } = await verify(bytes, bytes, { inputs, image: { size: [4, 4], preprocess: 'raw' } });
    expect(equal).toBe(true);
    expect(preprocessing).toEqual([expect.objectContaining({ input: 'x', preset: 'raw', height: 4, width: 4 })]);
  });

  test('is not made of models over a limit, whichever of the two is', async () => {
    const long = Array.from({ length: 400 }, (_, at) => node('Neg', ['x'], [`n${at}`]));
    const large = modelBytes(scaled(2, { nodes: [...long, ...(scaled(2).nodes ?? [])] }));
    const limits = { indexBytes: 20_000 };
    expect(await verify(large, model)).toMatchObject({ equal: true });
    expect(await verify(model, cut, { limits })).toMatchObject({ equal: true });
    await expect(verify(large, model, { limits })).rejects.toMatchObject({ name: 'PolicyError' });
    await expect(verify(model, large, { limits })).rejects.toMatchObject({ name: 'PolicyError' });
  });
});

test('pairs are given as a plain object too, and as far as what leaves a cut', async () => {
  const renamed = { outputs: [value('z', null, null)], nodes: [node('Mul', ['x', 'by'], ['z'])] };
  const bytes = modelBytes(scaled(2, renamed));
  expect((await verify(modelBytes(scaled(2)), bytes, { map: { y: 'z' } })).features).toEqual([same('y', 'z')]);
});

describe('what a cut remembers', () => {
  const noise: GraphSpec = {
    inputs: [value('x', ['n', 4])],
    outputs: [value('y', null, null)],
    nodes: [node('RandomNormalLike', ['x'], ['r']), node('Add', ['x', 'r'], ['y'])],
  };

  test('its outputs and their names, so that what is random has the same seed', async () => {
    const graph = {
      ...noise,
      outputs: [value('0', null, null), value('1', null, null)],
      nodes: [node('RandomNormalLike', ['x'], ['0']), node('Add', ['x', '0'], ['1'])],
    };
    const cut = cutBytes(graph, {
      outputs: [
        { index: 0, tensor: 'r', output: '0' },
        { index: null, tensor: 'y', output: '1' },
      ],
    });
    const { equal, features } = await verify(modelBytes(noise), cut);
    expect([equal, features]).toEqual([true, [{ ...same('r', '0'), index: 0 }, same('y', '1')]]);
  });

  test('the tensor in front of steps, and what they make of it', async () => {
    const nodes = [node('Mul', ['x', 'by'], ['y']), node('Neg', ['y'], ['0'])];
    const cut = cutBytes(scaled(2, { outputs: [value('0', null, null)], nodes }), {
      outputs: [
        {
          index: 0,
          tensor: 'y',
          output: '0',
          steps: [{ step: 'negate' }],
          before: { tensor: 'y', layout: null, prefix_tokens: 0, converted: false },
        },
      ],
    });
    expect((await verify(modelBytes(scaled(2)), cut)).features).toEqual([{ ...same('y', '0'), index: 0, before: 'y' }]);
  });

  test('several tensors that it joins', async () => {
    const model = scaled(2, { nodes: [node('Mul', ['x', 'by'], ['y']), node('Neg', ['x'], ['z'])] });
    const joined = scaled(2, {
      outputs: [value('0', null, null)],
      nodes: [...(model.nodes ?? []), node('Concat', ['y', 'z'], ['0'], { axis: { int: 1 } })],
    });
    const cut = cutBytes(joined, { outputs: [{ index: 0, tensor: 'y', output: '0' }] });
    const { equal, features } = await verify(modelBytes(model), cut);
    expect([equal, features]).toEqual([true, [{ ...same('y', '0'), index: 0 }]]);
  });

  test('the sizes of its inputs', async () => {
    const outputs = [{ index: 0, tensor: 'y', output: 'y' }];
    const fixed = { ...mirror([3, 4]), outputs: [value('y', [3, 4])] };
    const dims = [{ input: 'x', axis: 0, size: 3 }];
    const { features } = await verify(modelBytes(mirror(['n', 4])), cutBytes(fixed, { outputs, dims }));
    expect(features).toEqual([{ ...same('y'), index: 0 }]);
  });

  test('the pixels that it takes, and inputs by other names', async () => {
    const outputs = [{ index: 0, tensor: 'y', output: 'y' }];
    const prepared: GraphSpec = {
      inputs: [value('pixels', [1, 2, 2, 3], 'uint8'), value('bias', [1])],
      outputs: [value('y', null, null)],
      nodes: [
        node('Cast', ['pixels'], ['cast'], { to: { int: 1 } }),
        node('Transpose', ['cast'], ['x'], { perm: { ints: [0, 3, 1, 2] } }),
        node('Add', ['x', 'bias'], ['y']),
      ],
    };
    const model: GraphSpec = {
      inputs: [value('x', [1, 3, 2, 2]), value('b', [1])],
      outputs: [value('y', null, null)],
      nodes: [node('Add', ['x', 'b'], ['y'])],
    };
    const preprocess = [{ input: 'pixels', tensor: 'x', layout: 'NHWC', channels: 'rgb' }] as const;
    const inputs = [{ input: 'bias', tensor: 'b' }];
    const { features } = await verify(modelBytes(model), cutBytes(prepared, { outputs, preprocess, inputs }));
    expect(features).toEqual([{ ...same('y'), index: 0 }]);
  });
});

describe('parts in the place of a cut', () => {
  test('every output that is a tensor is compared, by its name', async () => {
    const [sum, abs] = [node('Sum', ['x', 'a'], ['y']), node('Abs', ['a'], ['z'])];
    const sequence = node('SequenceConstruct', ['a', 'a'], ['s']);
    const model: GraphSpec = {
      inputs: [value('x', [4])],
      nodes: [node('Neg', ['x'], ['a']), sum, abs, sequence],
      outputs: [value('y', null, null), value('z', [4]), { name: 's', type: { sequence: { tensor: 'float32' } } }],
    };
    const path = join(folder, 'parted.onnx');
    writeFileSync(path, modelBytes(model));
    const first: GraphSpec = {
      inputs: [value('x', [4])],
      nodes: [node('Neg', ['x'], ['a'])],
      outputs: [value('a', null, null)],
    };
    const parts = (second: readonly NodeSpec[]) =>
      splitInto(folder, model, [
        { graph: first, inputs: ['model'] },
        {
          graph: { inputs: [value('x', [4]), value('a', [4])], nodes: second, outputs: model.outputs },
          inputs: ['model', 1],
        },
      ]);
    const right = await parts([sum, abs, sequence]);
    expect(await verify(path, right.path)).toMatchObject({
      model: path,
      extracted: right.path,
      equal: true,
      features: [same('y'), same('z')],
      warnings: ['y has one value everywhere, which says little: try other `inputs`'],
    });
    const wrong = await parts([sum, node('Neg', ['a'], ['z']), sequence]);
    const { equal, features } = await verify(path, wrong.path);
    expect([equal, features.map((each) => each.equal)]).toEqual([false, [true, false]]);
  });

  test('of another model are refused', async () => {
    const path = join(folder, 'other.onnx');
    writeFileSync(path, modelBytes(scaled(3)));
    const { path: manifest } = await splitInto(folder, scaled(2), [{ graph: scaled(2), inputs: ['model'] }]);
    await expect(verify(path, manifest)).rejects.toMatchObject({ code: 'FEATX_SPLIT_CHANGED' });
  });
});

describe('tensors of branches', () => {
  const X = value('x', [1, 4]);
  const constants = (then: number, otherwise: number) => [
    tensor('one', [], [then]),
    tensor('two', [], [otherwise]),
    tensor('none', [0, 0], []),
  ];
  const branch = (name: string, nodes: readonly NodeSpec[]) => ({ graph: { nodes, outputs: [value(name, null)] } });
  const choose = (output: string, then: readonly NodeSpec[], otherwise: readonly NodeSpec[]): NodeSpec => ({
    ...node('If', ['c'], [output], { then_branch: branch('r', then), else_branch: branch('e', otherwise) }),
    name: output,
  });
  const THEN = node('Add', ['x', 'one'], ['r']);
  const ELSE = node('Sub', ['x', 'two'], ['e']);
  /** `r` where `c` is true, else `e`; inputs beside these do not matter. */
  const model = (inputs = [value('c', [], 'bool'), X]): Uint8Array =>
    modelBytes({
      inputs,
      outputs: [value('y', null, null)],
      initializers: constants(1, 2),
      nodes: [choose('y', [THEN], [ELSE])],
    });
  /** Both, each without elements where the other is taken. */
  const cut = (then = 1, otherwise = 2): Uint8Array =>
    modelBytes({
      inputs: [value('c', [], 'bool'), X],
      outputs: [value('p', null, null), value('q', null, null)],
      initializers: constants(then, otherwise),
      nodes: [
        choose('p', [THEN], [node('Identity', ['none'], ['e'])]),
        choose('q', [node('Identity', ['none'], ['r'])], [ELSE]),
      ],
    });
  const map = { 'y/then_branch::r': 'p', 'y/else_branch::e': 'q' };
  const [first] = drawn('c', [], 'bool').data;

  test('are compared both ways, so that each has elements', async () => {
    const report = await verify(model(), cut(), { map });
    expect(report).toMatchObject({
      equal: true,
      features: [same('y/then_branch::r', 'p'), same('y/else_branch::e', 'q')],
      warnings: [],
    });
  });

  test.each([
    [2, 2, [false, true]],
    [1, 3, [true, false]],
  ])('and one that is wrong is found, whichever it is', async (then, otherwise, right) => {
    const { equal, features } = await verify(model(), cut(then, otherwise), { map });
    expect([equal, features.map((each) => each.equal)]).toEqual([false, right]);
  });

  const condition = join(folder, 'condition.pb');
  const missed = `${first === 1 ? 'q' : 'p'} has no elements for these inputs, as in a branch that is not taken: try other \`inputs\``;

  test('are compared the one way that a file says', async () => {
    writeFileSync(condition, valuesFile([], [Number(first)], 'bool'));
    const inputs = [`c=${condition}`, 'x=random'];
    expect((await verify(model(), cut(), { map, inputs })).warnings).toEqual([missed]);
    expect((await verify(model(), cut(), { map, inputs: [] })).warnings).toEqual([]);
  });

  test('are compared one way if no input is a condition', async () => {
    const strings = { name: 'names', type: { sequence: { tensor: 'string' } } } as const;
    const inputs = [value('k', [], 'int64'), X, strings, value('untyped', null, null)];
    const cast = node('Cast', ['k'], ['c'], { to: { int: 9 } });
    const counted = (graph: Partial<GraphSpec>): Uint8Array =>
      modelBytes({ inputs, initializers: constants(1, 2), ...graph });
    const whole = counted({ outputs: [value('y', null, null)], nodes: [cast, choose('y', [THEN], [ELSE])] });
    const part = counted({
      outputs: [value('p', null, null), value('q', null, null)],
      nodes: [
        cast,
        choose('p', [THEN], [node('Identity', ['none'], ['e'])]),
        choose('q', [node('Identity', ['none'], ['r'])], [ELSE]),
      ],
    });
    const taken = Number(drawn('k', [], 'int64').data[0]) === 1;
    expect(await verify(whole, part, { map })).toMatchObject({
      equal: true,
      warnings: [expect.stringMatching(taken ? /^q has no elements/ : /^p has no elements/)],
    });
  });
});

test('a condition is taken one way if only tensors of the main graph are compared', async () => {
  const picked = (c: number): Uint8Array =>
    modelBytes({
      inputs: [value('c', [], 'bool'), value('x', [1, 4])],
      outputs: [value('y', null, null)],
      initializers: [tensor('a', [], [first === 1 ? 1 : c]), tensor('b', [], [first === 1 ? c : 1])],
      nodes: [node('Where', ['c', 'a', 'b'], ['w']), node('Mul', ['x', 'w'], ['y'])],
    });
  const [first] = drawn('c', [], 'bool').data;
  expect(await verify(picked(2), picked(3))).toMatchObject({ equal: true });
});
