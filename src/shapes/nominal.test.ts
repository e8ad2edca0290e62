import { encodeModel } from '../testing/model-builder.js';
import { node, value, weights, type GraphSpec, type ValueSpec } from '../testing/model-spec.js';
import { viewGraph } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import { nominalInputs, type NominalInputs } from './nominal.js';

async function nominal(
  inputs: readonly ValueSpec[],
  more: Partial<GraphSpec> = {},
  given?: ReadonlyMap<string, readonly number[]>,
): Promise<NominalInputs> {
  await using model = await indexModel(encodeModel({ graph: { inputs, outputs: [], ...more } }));
  return nominalInputs(viewGraph(model), given);
}

const shapeOf = async (...shape: (string | number | null)[]): Promise<readonly number[] | undefined> =>
  (await nominal([value('x', shape)])).shapes.get('x');

describe('numbers for symbolic dims', () => {
  test.each<[string, (string | number | null)[], number[]]>([
    ['NCHW', ['a', 3, 'b', 'c'], [1, 3, 224, 224]],
    ['NHWC', [null, null, null, 3], [1, 224, 224, 3]],
    ['grey', [null, 1, null, null], [1, 1, 224, 224]],
    ['all unknown', [null, null, null, null], [1, 3, 224, 224]],
    ['CHW', [3, null, null], [3, 224, 224]],
    ['HWC', [null, null, 3], [224, 224, 3]],
    ['tokens', ['n', 'tokens', 64], [1, 16, 64]],
    ['video, frames first', ['n', 'frames', 3, null, null], [1, 16, 3, 224, 224]],
    ['video, channels first', ['n', 3, null, null, null], [1, 3, 16, 224, 224]],
    ['a fixed side gives the other', [null, 3, 160, null], [1, 3, 160, 160]],
    ['ids', ['batch', 'sequence'], [1, 16]],
    ['one axis', ['n'], [1]],
    ['points', ['batch', 'num_points', 3], [1, 16, 3]],
    ['a map of features', ['n', 512, null, null], [1, 512, 16, 16]],
    ['a sum', ['n', 'past + seq', 'seq'], [1, 32, 16]],
    ['names win over places', ['width', 'seq_len'], [224, 16]],
    ['one symbol, one number', ['s', 3, 's', 's'], [1, 3, 1, 1]],
  ])('%s', async (_what, shape, numbers) => {
    expect(await shapeOf(...shape)).toEqual(numbers);
  });

  test('static inputs, initializers and values that are no tensors have none', async () => {
    const result = await nominal(
      [value('x', [1, 2]), value('w', ['n']), { name: 's', type: { sequence: { tensor: 'float32' } } }],
      { initializers: [weights('w', [2], 1)] },
    );
    expect(result.shapes.size).toBe(0);
    expect(result.symbolic.size).toBe(0);
  });

  test('channels are what the first convolution wants', async () => {
    const stem = (dims: readonly number[], group: number): Partial<GraphSpec> => ({
      initializers: [weights('k', dims, 1)],
      nodes: [node('Relu', ['x'], ['r']), node('Conv', ['x', 'k'], ['c'], { group: { int: group } })],
    });
    expect((await nominal([value('x', ['n', 'c', 'h', 'w'])], stem([8, 4, 3, 3], 2))).shapes.get('x')).toEqual([
      1, 8, 224, 224,
    ]);
    expect((await nominal([value('x', null)], stem([8, 4, 3, 3], 1))).shapes.get('x')).toEqual([1, 4, 224, 224]);
    expect((await nominal([value('x', null)])).shapes.get('x')).toBeUndefined();
  });

  test('one symbol has one number in all inputs', async () => {
    const { shapes, symbols } = await nominal(
      [value('x', ['batch', 3, 'h', 'w']), value('mask', ['batch', 'h', 'w'])],
      {},
      new Map([['mask', [2, 32, 64]]]),
    );
    expect(Object.fromEntries(shapes)).toEqual({ x: [2, 3, 32, 64], mask: [2, 32, 64] });
    expect(Object.fromEntries(symbols)).toEqual({ batch: 2, h: 32, w: 64 });
  });
});

describe('given shapes', () => {
  const inputs = [value('x', ['n', 3, 'h', 'w']), value('m', ['n', 4])];

  test.each<[string, [string, number[]][], RegExp]>([
    ['without a name for two inputs', [['', [1, 3, 8, 8]]], /a shape without a name, but the model has 2 inputs/],
    ['an unknown name', [['y', [1]]], /'y' is no input/],
    ['another rank', [['x', [1, 3, 8]]], /'x' gets 3 dims and has 4/],
    ['another number', [['x', [1, 4, 8, 8]]], /is fixed to n,3,h,w/],
    ['no size', [['x', [1, 3, -1, 1.5]]], /dims are integers from 0/],
    [
      'two sizes of one symbol',
      [
        ['x', [1, 3, 8, 8]],
        ['m', [2, 4]],
      ],
      /the dim 'n' two sizes: 1 and 2/,
    ],
  ])('%s', async (_what, given, message) => {
    await expect(nominal(inputs, {}, new Map(given))).rejects.toThrow(message);
  });

  test('of an input whose rank the file does not say', async () => {
    expect((await nominal([value('x', null)], {}, new Map([['', [2, 5]]]))).shapes.get('x')).toEqual([2, 5]);
    await expect(nominal([value('x', null)], {}, new Map([['z', [2]]]))).rejects.toMatchObject({
      hint: 'its inputs are x (unknown shape)',
    });
    await expect(nominal([], {}, new Map([['z', [2]]]))).rejects.toMatchObject({ hint: 'its inputs are none' });
  });
});
