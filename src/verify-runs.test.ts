import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from './errors.js';
import type { StoredInfo } from './features/stored-info.js';
import { node, tensor, value, type DimSpec, type GraphSpec } from './testing/model-spec.js';
import { drawn, mirror, sidesOf, splitInto, valuesFile, viewOf } from './testing/sides.js';
import { enteringTensors, type VerifyRunOptions } from './verify-runs.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-verify-runs-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the inputs of a cut that the model makes or calls otherwise', () => {
  const graph = (inputs: readonly string[], more: GraphSpec = {}): GraphSpec => ({
    inputs: inputs.map((name) => value(name, [4])),
    outputs: [value('y', null, null)],
    nodes: [node('Sum', inputs, ['y'])],
    ...more,
  });
  const entering = async (cut: GraphSpec, info: Partial<StoredInfo> | null = null) => {
    const nodes = [node('Neg', ['x'], ['a']), node('Sum', ['x', 'a', 'u', 'w'], ['y'])];
    const model = await viewOf(graph(['x', 'u', 'w'], { nodes, initializers: [tensor('w', [4], [1, 2, 3, 4])] }));
    return enteringTensors(model, await viewOf(cut), info as StoredInfo | null);
  };

  test('none if the cut takes what the model takes', async () => {
    expect(await entering(graph(['x', 'u']))).toEqual(new Map());
    expect(await entering(graph(['x', 'u']), { inputs: [{ input: 'x', tensor: 'x' }] })).toEqual(new Map());
  });

  test('tensors that the model makes, and weights of it', async () => {
    expect(await entering(graph(['x', 'a', 'w']))).toEqual(
      new Map([
        ['a', 'a'],
        ['w', 'w'],
      ]),
    );
  });

  test('what the cut says that an input is', async () => {
    const inputs = [
      { input: 'map', tensor: 'a' },
      { input: 'picture', tensor: 'x' },
    ];
    expect(await entering(graph(['map', 'picture', 'u']), { inputs })).toEqual(
      new Map([
        ['map', 'a'],
        ['picture', 'x'],
      ]),
    );
  });

  test('neither weights of the cut nor pixels', async () => {
    const cut = graph(['x', 'own', 'pixels'], { initializers: [tensor('own', [4], [1, 2, 3, 4])] });
    const preprocess = [{ input: 'pixels', tensor: 'x', layout: 'NHWC', channels: 'rgb' }] as const;
    expect(await entering(cut, { preprocess })).toEqual(new Map());
  });

  test('all that the model does not have are in one error', async () => {
    const inputs = [{ input: 'map', tensor: 'lost' }];
    await expect(entering(graph(['x', 'map', 'q']), { inputs })).rejects.toMatchObject({
      name: 'UsageError',
      message: 'the cut has inputs that the model does not have: map, q',
      code: 'FEATX_USAGE_PAIR',
    });
  });
});

describe('what is random', () => {
  const noise = (cut: boolean): GraphSpec => ({
    ...mirror([8]),
    nodes: [
      ...(cut ? [node('Neg', ['x'], ['unused'])] : []),
      node('RandomNormalLike', ['x'], ['r']),
      node('RandomUniformLike', ['x'], [cut ? '0' : 'y']),
      node('Sum', ['x', 'r', cut ? '0' : 'y'], [cut ? '1' : 'z']),
    ],
    outputs: [cut ? '0' : 'y', cut ? '1' : 'z'].map((name) => value(name, null, null)),
  });

  test('has the same seed in both, whatever the cut calls it and wherever it stands', async () => {
    const names = new Map([
      ['0', 'y'],
      ['1', 'z'],
    ]);
    const sides = await sidesOf(noise(false), noise(true), { tensors: ['y', 'z'], outputs: ['0', '1'], names });
    expect(sides.random.seeded.map(({ opType }) => opType)).toEqual(['RandomNormalLike', 'RandomUniformLike']);
    const { reference, result } = await sides.run('disabled');
    expect([...result.values()]).toEqual([...reference.values()]);
    expect((await sides.run('all')).reference).toEqual(reference);
    expect(await sides.reference('disabled')).toEqual(reference);
    expect(reference.get('y')).not.toEqual(reference.get('z'));
  });

  test.each<readonly [string, string, readonly string[]]>([
    ['trains', 'yes', ['Dropout']],
    ['does not train', 'no', []],
    ['trains if it is told to', 'told', ['Dropout']],
    ['trains if nobody knows', 'strange', ['Dropout']],
  ])('is a Dropout that %s', async (_what, training, seeded) => {
    const graph: GraphSpec = {
      inputs: [value('x', [8]), value('told', [], 'bool')],
      outputs: [value('y', null, null)],
      initializers: [tensor('half', [], [0.5]), tensor('yes', [], [1], 'bool'), tensor('no', [], [0], 'bool')],
      nodes: [
        { op: 'Plugin', domain: 'nobody', inputs: ['x'], outputs: ['strange'] },
        node('Dropout', ['x', 'half', training], ['y']),
      ],
    };
    const sides = await sidesOf(graph);
    expect(sides.random.seeded.map(({ opType }) => opType)).toEqual(seeded);
    expect(sides.random.beyond).toEqual([]);
  });
});

test('with optimisation and without it', async () => {
  // (x * 0.3) * 0.7 and x * (0.3 * 0.7), which is what fusion makes of it, differ in their last bits.
  const conv: GraphSpec = {
    inputs: [value('x', [1, 1, 1, 8])],
    outputs: [value('y', null, null)],
    initializers: [tensor('w', [1, 1, 1, 1], [0.3]), tensor('k', [1, 1, 1, 1], [0.7])],
    nodes: [node('Conv', ['x', 'w'], ['c']), node('Mul', ['c', 'k'], ['y'])],
  };
  const sides = await sidesOf(conv);
  const [plain, fused] = [await sides.run('disabled'), await sides.run('all')];
  expect(plain.result).toEqual(plain.reference);
  expect(fused.result).toEqual(fused.reference);
  expect(fused.result).not.toEqual(plain.result);
});

test('a run that is given up', async () => {
  const reason = new Error('given up');
  const sides = await sidesOf(mirror([4]), undefined, {}, { signal: AbortSignal.abort(reason) });
  await expect(sides.run('disabled')).rejects.toBe(reason);
});

describe('parts in the place of a cut', () => {
  const inputs = [value('x', ['n', 4]), value('u', [2])];
  const NEG = node('Neg', ['x'], ['a']);
  const NOISE = [node('RandomNormalLike', ['a'], ['r']), node('Add', ['a', 'r'], ['y'])];
  const model: GraphSpec = {
    inputs,
    nodes: [NEG, ...NOISE, node('Abs', ['u'], ['z'])],
    outputs: [value('y', null, null), value('z', null, null)],
  };

  const chainOf = (parts: Parameters<typeof splitInto>[2]) => splitInto(folder, model, parts);

  test('each is run on what was fed and on what those before it gave, with the seeds of the model', async () => {
    const chain = await chainOf([
      { graph: { inputs: [value('x', ['n', 4])], nodes: [NEG], outputs: [value('a', null, null)] }, inputs: ['model'] },
      {
        graph: {
          inputs: [value('a', ['n', 4]), value('u', [2])],
          nodes: [node('Abs', ['u'], ['z']), ...NOISE],
          outputs: model.outputs,
        },
        inputs: [1, 'model'],
      },
    ]);
    const sides = await sidesOf(model, model, { chain, outputs: ['y'] });
    const { reference, result } = await sides.run('disabled');
    const x = drawn('x', [1, 4]);
    const magnitudes = (drawn('u', [2]).data as Float32Array).map((one) => Math.abs(one));
    expect([sides.isChain, (await sidesOf(model)).isChain]).toEqual([true, false]);
    expect([...reference.keys()]).toEqual(['y']);
    expect(result).toEqual(
      new Map<string, unknown>([
        ['x', x],
        ['a', { ...x, data: (x.data as Float32Array).map((one) => -one) }],
        ['y', reference.get('y')],
        ['z', { dtype: 'float32', shape: [2], data: magnitudes }],
      ]),
    );
  });

  test('a part that takes what is not there is refused', async () => {
    const chain = await chainOf([{ graph: model, inputs: ['model', 1] }]);
    await expect((await sidesOf(model, model, { chain })).run('disabled')).rejects.toMatchObject({
      code: 'FEATX_SPLIT_MANIFEST',
      message: expect.stringContaining("part 1: 'u' does not come from part 1"),
    });
  });
});

describe('a run that fails', () => {
  const file = join(folder, 'row.pb');
  beforeAll(() => writeFileSync(file, valuesFile([1, 2], [1, 2])));

  /** Row 1000 of `x`, which it does not have; `i` is what keeps anybody from knowing that. */
  const failing = (rows: DimSpec): GraphSpec => ({
    inputs: [value('x', [rows, 2]), value('i', [1], 'int64')],
    outputs: [value('y', null, null)],
    initializers: [tensor('far', [1], [1000], 'int64')],
    nodes: [node('Add', ['i', 'far'], ['j']), node('Gather', ['x', 'j'], ['y'])],
  });
  const WHY =
    /^ONNX Runtime failed while it ran the model on cpu: .*Gather.* must be within the inclusive range \[.*\]/;
  const GUESSED = ': the model may not take inputs of the sizes that were guessed';
  const runs = async (model: GraphSpec, cut = model, options: VerifyRunOptions = {}): Promise<unknown> =>
    (await sidesOf(model, cut, {}, options)).run('disabled').catch((error: unknown) => error);

  test.each([
    ['the model', failing('n'), failing('n')],
    ['the cut', { ...failing('n'), nodes: [node('Identity', ['x'], ['y'])] }, failing('n')],
  ])('with sizes that were guessed says so: %s', async (_what, model, cut) => {
    const error = await runs(model, cut);
    expect(error).toMatchObject({
      name: 'RuntimeError',
      code: 'FEATX_RUNTIME',
      message: expect.stringMatching(new RegExp(`${WHY.source}${GUESSED}$`)),
      hint: 'give sizes that it takes in the place of `inputShapes: {"x":[1,2]}`, or `inputs`',
      cause: expect.objectContaining({ name: 'RuntimeError', message: expect.stringMatching(WHY) }),
    });
  });

  test.each<readonly [string, GraphSpec, VerifyRunOptions]>([
    ['fixed', failing(1), {}],
    ['asked for', failing('n'), { inputShapes: { x: [3, 2] } }],
    ["a file's", failing('n'), { inputs: [`x=${file}`, 'i=random'] }],
  ])('with sizes that are %s is left as it is', async (_what, model, options) => {
    const error = await runs(model, model, options);
    expect(error).toMatchObject({ code: 'FEATX_RUNTIME', message: expect.stringMatching(WHY) });
    expect(error).toMatchObject({ message: expect.not.stringContaining('guessed') });
  });

  test('for another reason is left as it is', async () => {
    const strange = { ...failing('n'), nodes: [{ ...node('Plugin', ['x'], ['y']), domain: 'nobody' }] };
    const refused = await runs(strange);
    expect(refused).toMatchObject({ code: 'FEATX_RUNTIME_MODEL', message: expect.not.stringContaining('guessed') });
    const unknown = { ...failing('n'), inputs: [value('x', ['n', 2]), value('i', null, 'int64')] };
    expect(await runs(unknown)).toEqual(new UsageError("the shape of the input 'i' is not known"));
  });
});
