import { onnx } from '../testing/onnx-proto.js';
import { encodeModel } from '../testing/model-builder.js';
import { DATA_TYPES, tensor, value } from '../testing/model-spec.js';
import { indexModel } from './model.js';
import { bitsOf, dataTypeOf, declaredTypes, dtypeWord, elementCount, tensorBytes, tensorType } from './types.js';

test('words and numbers of every dtype', () => {
  for (const [word, number] of Object.entries(DATA_TYPES)) {
    expect(dtypeWord(number)).toBe(word);
    expect(dataTypeOf(word)).toBe(number);
  }
  // As the proto file of an older release says it.
  const theirs = Object.entries(onnx.TensorProto.DataType).filter(([name]) => name !== 'UNDEFINED');
  const word = (name: string): string => ({ FLOAT: 'float32', DOUBLE: 'float64' })[name] ?? name.toLowerCase();
  expect(theirs.length).toBeGreaterThan(15);
  expect(theirs.map(([name]) => dataTypeOf(word(name)))).toEqual(theirs.map(([, number]) => Number(number)));
  expect([dtypeWord(0), dtypeWord(99), dtypeWord(-1), dataTypeOf('float12')]).toEqual([null, null, null, 0]);
});

test('sizes: sub-byte types are rounded up, strings and unknown types have none', () => {
  const bytes = (word: keyof typeof DATA_TYPES, ...dims: readonly number[]): number | null =>
    tensorBytes({ dims, dataType: DATA_TYPES[word] });
  expect([
    bytes('float32', 2, 3),
    bytes('int64'),
    bytes('bool', 5),
    bytes('int4', 3),
    bytes('float4e2m1', 5),
    bytes('complex128', 2),
    bytes('bfloat16', 3),
    bytes('float8e5m2', 7),
  ]).toEqual([24, 8, 5, 2, 3, 32, 6, 7]);
  expect([bytes('string', 2), tensorBytes({ dims: [2], dataType: 99 }), bitsOf(25), bitsOf(8)]).toEqual([
    null,
    null,
    2,
    null,
  ]);
  expect([elementCount([]), elementCount([2, 0, 5])]).toEqual([1, 0]);
});

test('values that are no tensors have a kind', () => {
  expect(tensorType({ kind: 'sequence', element: null })).toEqual({ dtype: null, shape: null, type: 'sequence' });
  expect(tensorType({ kind: 'opaque' })).toEqual({ dtype: null, shape: null, type: 'opaque' });
  expect(tensorType({ kind: 'sparse_tensor', elemType: 1, shape: [2] })).toEqual({
    dtype: 'float32',
    shape: [2],
    type: 'sparse_tensor',
  });
  expect(tensorType({ kind: 'tensor', elemType: 99, shape: null })).toEqual({ dtype: null, shape: null });
});

test('declared types: what inputs, outputs, value_info and initializers say, the values in memory last', async () => {
  const model = await indexModel(
    encodeModel({
      graph: {
        inputs: [value('x', ['n', 3]), value('w', null)],
        outputs: [value('y', []), value('untyped', null, null)],
        valueInfo: [
          value('a', null, 'int64'),
          value('y', [7]),
          { name: 's', type: { sequence: { tensor: 'float32' } } },
        ],
        initializers: [tensor('w', [2], [1, 2])],
        sparseInitializers: [{ values: tensor('sp', [1], [1]), indices: tensor('', [1], [0], 'int64'), dims: [4, 4] }],
      },
    }),
  );
  expect(declaredTypes(model)).toEqual(
    new Map(
      Object.entries({
        a: { dtype: 'int64', shape: null },
        y: { dtype: 'float32', shape: [] },
        s: { dtype: null, shape: null, type: 'sequence' },
        x: { dtype: 'float32', shape: ['n', 3] },
        w: { dtype: 'float32', shape: [2] },
        sp: { dtype: 'float32', shape: [4, 4] },
      }),
    ),
  );
});
