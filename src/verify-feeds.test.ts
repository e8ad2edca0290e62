import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TensorValue } from './onnx/tensor-value.js';
import { node, tensor, value, type DimSpec, type GraphSpec } from './testing/model-spec.js';
import { drawn, floats, mirror, sidesOf, valuesFile } from './testing/sides.js';
import type { Compared, VerifyRunOptions } from './verify-runs.js';

const folder = mkdtempSync(join(tmpdir(), 'featx-verify-feeds-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A file of values. */
function fileOf(name: string, ...values: Parameters<typeof valuesFile>): string {
  const path = join(folder, name);
  writeFileSync(path, valuesFile(...values));
  return path;
}

/** What is fed to `x` of a model, and to the same of its cut. */
async function fed(
  model: GraphSpec,
  options: VerifyRunOptions = {},
  more: Parameters<typeof sidesOf>[2] = {},
): Promise<TensorValue> {
  const { reference, result } = await (await sidesOf(model, model, more, options)).run('disabled');
  expect(result).toEqual(reference);
  expect([...reference.keys()]).toEqual(['y']);
  return reference.get('y') ?? floats([]);
}

describe('both are fed', () => {
  test('values that follow from a seed and the name of the input', async () => {
    expect(await fed(mirror(['n', 4]))).toEqual(drawn('x', [1, 4]));
    expect(await fed(mirror([2, 4], 'float32', 'q'), { seed: 5 })).toEqual(drawn('q', [2, 4], 'float32', 5));
    expect(await fed(mirror([3], 'int64'))).toEqual(drawn('x', [3], 'int64'));
    const small = { ...mirror([6], 'int4'), nodes: [node('Cast', ['x'], ['y'], { to: { int: 1 } })] };
    expect(await fed(small)).toEqual(floats([6], -6, -3, 2, -4, 1, 1));
  });

  test('inputs of the sizes that are asked for', async () => {
    expect(await fed(mirror(['n', 4]), { inputShapes: { x: [3, 4] } })).toEqual(drawn('x', [3, 4]));
    expect(await fed(mirror(null), { inputShapes: { x: [5] } })).toEqual(drawn('x', [5]));
  });

  test('inputs of the sizes that the cut was given', async () => {
    const sizes = [
      { input: 'x', axis: 0, size: 3 },
      { input: 'gone', axis: 1, size: 2 },
    ];
    expect(await fed(mirror(['n', 4]), {}, { sizes })).toEqual(drawn('x', [3, 4]));
  });

  test('conditions one way, and the other', async () => {
    const { data } = drawn('x', [4], 'bool');
    expect(await fed(mirror([4], 'bool'))).toEqual({ dtype: 'bool', shape: [4], data });
    const other = Uint8Array.from(data as Uint8Array, (bit) => 1 - bit);
    expect(await fed(mirror([4], 'bool'), {}, { isOtherWay: true })).toEqual({
      dtype: 'bool',
      shape: [4],
      data: other,
    });
    expect(await fed(mirror([4], 'int32'), {}, { isOtherWay: true })).toEqual(drawn('x', [4], 'int32'));
  });

  test('what files hold', async () => {
    const path = fileOf('two.pb', [2, 4], [1, 2, 3, 4, 5, 6, 7, 8]);
    const sides = await sidesOf(mirror(['n', 4]), undefined, {}, { inputs: [path] });
    const both = new Map([['y', floats([2, 4], 1, 2, 3, 4, 5, 6, 7, 8)]]);
    expect(await sides.run('disabled')).toEqual({ reference: both, result: both });
    expect(await sides.run('all')).toEqual({ reference: both, result: both });
    expect(sides.warnings).toEqual([]);
    expect(sides.preprocessing).toEqual(new Map());
  });

  test.each([
    [16, []],
    [17, ['the first 16 of 17 entries were compared']],
  ])('%d entries: at most one batch of them', async (count, warnings) => {
    const values = Array.from({ length: count }, (_, at) => at);
    const path = fileOf(`${count}.pb`, [count, 1], values);
    const sides = await sidesOf(mirror(['n', 1]), undefined, {}, { inputs: [path] });
    expect((await sides.run('disabled')).result.get('y')).toEqual(floats([16, 1], ...values.slice(0, 16)));
    expect(sides.warnings).toEqual(warnings);
  });

  test('files whose values are rounded, which is said', async () => {
    const path = fileOf('wide.pb', [1, 1], [1 / 3], 'float64');
    const sides = await sidesOf(mirror(['n', 1]), undefined, {}, { inputs: [path] });
    expect((await sides.run('disabled')).reference.get('y')).toEqual(floats([1, 1], 1 / 3));
    expect(sides.warnings).toEqual(['float64 values are rounded to float32 for input x']);
  });

  test('pictures, as the graph takes them, of the sizes that are asked for or of their own', async () => {
    // What it divides by 255 says that it takes values up to 255.
    const scaling: GraphSpec = {
      inputs: [value('x', ['n', 3, 'h', 'w'])],
      outputs: [value('y', null, null)],
      initializers: [tensor('most', [], [255])],
      nodes: [node('Div', ['x', 'most'], ['y'])],
    };
    const inputs = [join('fixtures', 'tensors', 'picture.png')];
    const pictured = async (options: VerifyRunOptions) => {
      const sides = await sidesOf(scaling, undefined, {}, { inputs, ...options });
      const { reference, result } = await sides.run('disabled');
      expect(result).toEqual(reference);
      const how = sides.preprocessing.get('x');
      return { shape: reference.get('y')?.shape, source: how?.source, preset: how?.preset, scale: how?.scale };
    };
    const asGraph = { source: 'graph', preset: 'raw', scale: 1 };
    expect(await pictured({ inputShapes: { x: [1, 3, 6, 8] } })).toEqual({ shape: [1, 3, 6, 8], ...asGraph });
    expect(await pictured({ image: { size: [5, 7] } })).toEqual({ shape: [1, 3, 5, 7], ...asGraph });
    expect(await pictured({ image: { size: [5, 7], preprocess: 'imagenet' } })).toMatchObject({ preset: 'imagenet' });
    // Sizes that were given do not give way to others.
    await expect(pictured({ inputShapes: { x: [1, 3, 6, 8] }, image: { size: [5, 7] } })).rejects.toThrow(
      'input x takes pictures of 6 x 8, not 5 x 7',
    );
  });

  test('nothing of which the shape is not known', async () => {
    const sides = await sidesOf(mirror(null, 'float32', 'q'));
    await expect(sides.run('disabled')).rejects.toMatchObject({
      name: 'UsageError',
      message: "the shape of the input 'q' is not known",
      hint: 'give it with `inputShapes: {"q":[1,3,224,224]}`',
    });
  });

  test('inputs that only the cut needs', async () => {
    const inputs = [value('x', [4]), value('u', [2])];
    const model = { ...mirror([4]), inputs };
    const sides = await sidesOf(model, { ...model, nodes: [node('Identity', ['u'], ['y'])] });
    const { reference, result } = await sides.run('disabled');
    expect([reference.get('y'), result.get('y')]).toEqual([drawn('x', [4]), drawn('u', [2])]);
  });
});

describe('a cut is fed what the model has in that place', () => {
  test('what it makes, what it holds, and what it calls otherwise', async () => {
    const model: GraphSpec = {
      inputs: [value('x', [2]), value('w', [2])],
      outputs: [value('y', null, null)],
      initializers: [tensor('w', [2], [5, 6])],
      nodes: [node('Neg', ['x'], ['a']), node('Sum', ['x', 'a', 'w'], ['y'])],
    };
    const cut: GraphSpec = {
      inputs: ['picture', 'map', 'w'].map((name) => value(name, [2])),
      outputs: [value('y', null, null)],
      nodes: [node('Sum', ['picture', 'map', 'w'], ['y'])],
    };
    const entering = new Map([
      ['picture', 'x'],
      ['map', 'a'],
      ['w', 'w'],
    ]);
    const inputs = [`x=${fileOf('pair.pb', [2], [1, 2])}`];
    const sides = await sidesOf(model, cut, { entering, outputs: ['y'] }, { inputs });
    const { reference, result } = await sides.run('disabled');
    expect([...reference.keys()]).toEqual(['y', 'a', 'w']);
    expect(reference.get('a')).toEqual(floats([2], -1, -2));
    expect(result).toEqual(new Map([['y', floats([2], 5, 6)]]));
  });
});

interface Layout {
  readonly layout: 'NCHW' | 'NHWC';
  readonly resize?: number | null;
  readonly perm?: readonly number[];
}

describe('pixels, which the cut prepares itself', () => {
  /** A cut that makes `x`, and `side` of another picture, of pixels, and gives these back as `y`. */
  const preparing = (dims: readonly DimSpec[], perm: readonly number[]): GraphSpec => ({
    inputs: [value('pixels', dims, 'uint8'), value('right', dims, 'uint8')],
    outputs: ['y', 'x', 'side'].map((name) => value(name, null, null)),
    nodes: [
      node('Identity', ['pixels'], ['y']),
      ...[
        ['pixels', 'x'],
        ['right', 'side'],
      ].flatMap(([from, to]) => [
        node('Cast', [from], [`${to}_cast`], { to: { int: 1 } }),
        node('Transpose', [`${to}_cast`], [to], { perm: { ints: perm } }),
      ]),
    ],
  });
  const taking = (dims: readonly DimSpec[]): GraphSpec => ({
    ...mirror(dims),
    inputs: [value('x', dims), value('side', dims)],
    nodes: [node('Identity', ['x'], ['y']), node('Identity', ['side'], ['z'])],
    outputs: [value('y', null, null), value('z', null, null)],
  });
  const OPEN = ['n', null, null, 3];
  const TO_NCHW = [0, 3, 1, 2];

  const GIVEN = { x: [2, 3, 4, 5], side: [2, 3, 4, 5] };
  test.each<readonly [string, readonly DimSpec[], VerifyRunOptions, readonly DimSpec[], Layout, readonly number[]]>([
    ['NHWC for NCHW', [2, 3, 4, 5], {}, OPEN, { layout: 'NHWC', perm: TO_NCHW }, [2, 4, 5, 3]],
    ['NCHW for NCHW', [2, 3, 4, 5], {}, ['n', 3, null, null], { layout: 'NCHW', resize: null }, [2, 3, 4, 5]],
    ['NHWC for NHWC', [2, 4, 5, 3], {}, OPEN, { layout: 'NHWC' }, [2, 4, 5, 3]],
    ['of the sizes of an open model', ['n', 3, 6, 'w'], {}, OPEN, { layout: 'NHWC', perm: TO_NCHW }, [1, 6, 6, 3]],
    [
      'larger ones if it resizes',
      ['n', 3, 'h', 'w'],
      { inputShapes: GIVEN },
      OPEN,
      { layout: 'NHWC', resize: 4, perm: TO_NCHW },
      [2, 21, 45, 3],
    ],
    [
      'of sizes that it fixes',
      ['n', 3, 'h', 'w'],
      { inputShapes: GIVEN },
      [1, 4, 'w', 3],
      { layout: 'NHWC', perm: TO_NCHW },
      [1, 4, 5, 3],
    ],
  ])('are seeded: %s', async (_what, model, options, dims, { perm = [0, 1, 2, 3], ...how }, shape) => {
    const said = ['pixels', 'right'].map((input, at) => ({
      input,
      tensor: ['x', 'side'][at],
      channels: 'rgb',
      ...how,
    }));
    const more = { pixels: said as unknown as Compared['pixels'], tensors: ['y', 'z'], outputs: ['y', 'x', 'side'] };
    const sides = await sidesOf(taking(model), preparing(dims, perm), more, { seed: 7, ...options });
    const { reference, result } = await sides.run('disabled');
    expect(result.get('y')).toEqual(drawn('pixels', shape, 'uint8', 7));
    expect([reference.get('y'), reference.get('z')]).toEqual([result.get('x'), result.get('side')]);
    expect(reference.get('y')?.shape).toEqual(perm.map((axis) => shape[axis]));
  });

  test('are seeded beside files too, which is said', async () => {
    const values = fileOf('beside.pb', [2], [3, 4]);
    const nines = Array.from({ length: 12 }, () => 9);
    const picture = fileOf('picture.pb', [1, 2, 2, 3], nines);
    const pixels = [{ input: 'pixels', tensor: 'x', layout: 'NHWC', channels: 'rgb' }] as const;
    const model = { ...taking([1, 2, 2, 3]), inputs: [...(taking([1, 2, 2, 3]).inputs ?? []), value('u', [2])] };
    const sides = await sidesOf(
      { ...model, nodes: [node('Identity', ['u'], ['y']), node('Identity', ['x'], ['z'])] },
      preparing([1, 2, 2, 3], [0, 1, 2, 3]),
      { pixels, tensors: ['y', 'z'] },
      { inputs: [`u=${values}`, `x=${picture}`] },
    );
    const { reference } = await sides.run('disabled');
    expect(reference.get('y')).toEqual(floats([2], 3, 4));
    expect([...(reference.get('z')?.data ?? [])]).toEqual([...drawn('pixels', [1, 2, 2, 3], 'uint8').data]);
    expect(sides.warnings).toEqual([
      "the cut prepares pictures itself: its input 'pixels' and what that is in the model, 'x', were given seeded pixels and nothing of `inputs`",
    ]);
  });

  test('are made for what is compared alone, and of seed 0', async () => {
    const pixels = [{ input: 'pixels', tensor: 'x', layout: 'NHWC', channels: 'rgb' }] as const;
    const model = { ...taking([1, 2, 2, 3]), inputs: [...(taking([1, 2, 2, 3]).inputs ?? []), value('u', [2])] };
    const sides = await sidesOf(
      { ...model, nodes: [node('Identity', ['u'], ['y']), node('Sum', ['x', 'side'], ['z'])] },
      preparing(OPEN, [0, 1, 2, 3]),
      { pixels },
    );
    const { reference, result } = await sides.run('disabled');
    expect(reference).toEqual(new Map([['y', drawn('u', [2])]]));
    expect(result.get('y')).toEqual(drawn('pixels', [1, 2, 2, 3], 'uint8'));
  });

  test.each<readonly [string, GraphSpec, string]>([
    ['the cut has no such input', mirror([1, 2]), 'x'],
    ['the cut does not say their rank', mirror(null, 'uint8', 'pixels'), 'x'],
    ['the model takes no such picture', mirror([1, 2, 2, 3], 'uint8', 'pixels'), 'q'],
  ])('are not made if %s', async (_what, cut, tensorOf) => {
    const pixels = [{ input: 'pixels', tensor: tensorOf, layout: 'NHWC', channels: 'rgb' }] as const;
    const sides = await sidesOf(mirror([1, 2]), cut, { pixels });
    expect(await sides.reference('disabled')).toEqual(new Map([['y', drawn('x', [1, 2])]]));
  });
});
