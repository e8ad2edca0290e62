import { ModelFormatError } from '../errors.js';
import { encodeModel } from '../testing/model-builder.js';
import { tensor, type TensorSpec } from '../testing/model-spec.js';
import { bytes, floats } from '../testing/wire-writer.js';
import { indexModel } from './model.js';
import type { Tensor } from './records.js';
import { checkTensor, plainValues } from './tensor-data.js';

async function indexed(spec: TensorSpec, packed = true): Promise<Tensor> {
  return (await indexModel(encodeModel({ graph: { initializers: [spec] } }, { packed }))).graph.initializers[0];
}

test.each<[string, TensorSpec]>([
  ['raw floats', tensor('t', [2], [1, 2])],
  ['typed floats', { ...tensor('t', [2], [1, 2]), typed: true }],
  ['no elements', tensor('t', [0, 5], [])],
  ['a scalar', tensor('t', [], [1])],
  ['int4, an odd count', { name: 't', dims: [3], type: 'int4', data: Uint8Array.of(0x21, 0x03) }],
  ['strings', { name: 't', dims: [1], type: 'string', data: ['a'] }],
  ['external data, whatever its size', { name: 't', dims: [1000], external: [['location', 'w']] }],
  ['values left out', { name: 't', dims: [3] }],
  ['values taken out, the empty field left behind', { name: 't', dims: [3], data: new Uint8Array(0) }],
  ['bool in int32_data', { name: 't', dims: [2], type: 'bool', data: [1, 0], typed: true }],
])('%s can be', async (_what, spec) => {
  const found = await indexed(spec);
  expect(() => checkTensor(found)).not.toThrow();
});

test.each<[string, TensorSpec, string, RegExp]>([
  [
    'a negative dim',
    { name: 't', dims: [-1, 2] },
    'FEATX_GRAPH_DIMS',
    /graph\.initializer\[0\] 't' has the impossible dims \[-1, 2\]/,
  ],
  ['dims whose product is no number', { name: 't', dims: [2 ** 40, 2 ** 40] }, 'FEATX_GRAPH_DIMS', /impossible dims/],
  [
    'dims whose bytes are no number',
    { name: 't', dims: [2 ** 52], type: 'complex128' },
    'FEATX_GRAPH_DIMS',
    /impossible dims/,
  ],
  [
    'a data_type to come',
    { name: 't', dims: [1], extra: [{ number: 2, bytes: Uint8Array.of(0x10, 99) }] },
    'FEATX_GRAPH_DTYPE',
    /unknown data_type 99/,
  ],
  [
    'too few bytes',
    { name: 't', dims: [3], data: new Uint8Array(8) },
    'FEATX_GRAPH_DATA',
    /has 8 bytes of values, but its dims \[3\] and dtype float32 take 12/,
  ],
  ['too many bytes', { name: 't', dims: [1], data: new Uint8Array(8) }, 'FEATX_GRAPH_DATA', /has 8 bytes.*take 4/],
  [
    'a claim of 1 TiB over 64 bytes',
    { name: 't', dims: [2 ** 38], data: new Uint8Array(64) },
    'FEATX_GRAPH_DATA',
    /has 64 bytes/,
  ],
  [
    'values in two fields',
    { name: 't', dims: [1], data: new Uint8Array(4), extra: floats(4, [1]) },
    'FEATX_GRAPH_DATA',
    /values in 2 fields/,
  ],
  [
    'strings in external data',
    { name: 't', dims: [2], type: 'string', external: [['location', 'weights.bin']] },
    'FEATX_GRAPH_DATA',
    /strings in external data/,
  ],
  [
    'strings in raw_data',
    { name: 't', dims: [1], type: 'string', data: new Uint8Array(3) },
    'FEATX_GRAPH_DATA',
    /strings in raw_data/,
  ],
])('%s cannot', async (_what, spec, code, message) => {
  const found = await indexed(spec);
  expect(() => checkTensor(found, 'm.onnx')).toThrow(ModelFormatError);
  expect(() => checkTensor(found, 'm.onnx')).toThrow(
    expect.objectContaining({
      code,
      path: 'm.onnx',
      field: 'graph.initializer[0]',
      offset: expect.any(Number),
      message: expect.stringMatching(message),
    }),
  );
});

describe('plainValues: where the runtime could map the values', () => {
  test.each<[string, TensorSpec, number | null]>([
    ['raw_data of any dtype', { name: 't', dims: [3], type: 'float8e4m3fn', data: new Uint8Array(3) }, 9],
    ['packed float_data of floats', { ...tensor('t', [2], [1, 2]), typed: true }, 4],
    ['packed float_data of complex numbers', { name: 't', dims: [1], type: 'complex64', data: [1, 2], typed: true }, 4],
    ['packed double_data', { ...tensor('t', [2], [1, 2], 'float64'), typed: true }, 10],
    ['int64_data is varints', { ...tensor('t', [2], [1, 2], 'int64'), typed: true }, null],
    ['float16 in int32_data', { name: 't', dims: [2], type: 'float16', data: [1, 2], typed: true }, null],
    ['two runs', { name: 't', dims: [2], extra: [...floats(4, [1]), ...floats(4, [2])] }, null],
    ['float_data of a tensor of doubles', { name: 't', dims: [1], type: 'float64', extra: floats(4, [1]) }, null],
    ['external', { name: 't', dims: [2], external: [['location', 'w']], data: new Uint8Array(8) }, null],
    ['nothing', { name: 't', dims: [2] }, null],
  ])('%s', async (_what, spec, field) => {
    expect(plainValues(await indexed(spec))?.fieldNumber ?? null).toBe(field);
  });

  test('values with a tag each are no run', async () => {
    expect(plainValues(await indexed({ ...tensor('t', [2], [1, 2]), typed: true }, false))).toBeNull();
  });

  test('the last raw_data counts', async () => {
    const found = await indexed({
      name: 't',
      dims: [1],
      data: new Uint8Array(8),
      extra: [bytes(9, new Uint8Array(4))],
    });
    expect(plainValues(found)).toBe(found.payloads[0]);
    expect(() => checkTensor(found)).not.toThrow();
  });
});
