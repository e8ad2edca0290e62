import * as fc from 'fast-check';
import { ModelFormatError } from '../errors.js';
import { decodeModel } from '../testing/decode.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, type TensorSpec } from '../testing/model-spec.js';
import { bytes, double, float, group, int, join, message } from '../testing/wire-writer.js';
import { decodeText } from '../wire/text.js';
import { indexModel } from './model.js';
import type { OnnxModel, ValueType } from './records.js';
import {
  encodeEntry,
  encodeExternal,
  encodeNode,
  encodeOpsetImport,
  encodeTensor,
  encodeType,
  encodeValueInfo,
} from './encode.js';
import { nodeMetadata, smallIntegers } from './small-values.js';

/** The graph that holds one encoded message under a field number, as both decoders read it. */
async function graphWith(
  number: number,
  content: Uint8Array,
): Promise<{ ours: OnnxModel['graph']; theirs: ReturnType<typeof decodeModel>['graph'] }> {
  const file = encodeModel({ graph: { extra: [bytes(number, content)] } });
  return { ours: (await indexModel(file)).graph, theirs: decodeModel(file).graph };
}

describe('encoders', () => {
  test('a node with every kind of attribute', async () => {
    const encoded = encodeNode({
      opType: 'Slice',
      name: 'featx/slice',
      inputs: ['x', '', 'ends'],
      outputs: ['y'],
      attributes: [
        { name: 'axis', int: -1 },
        { name: 'perm', ints: [0, -2, 2 ** 40] },
        { name: 'value', tensor: { name: '', dims: [2, 1], int64: [2 ** 40, -5] } },
      ],
    });
    const {
      ours: {
        nodes: [ours],
      },
      theirs,
    } = await graphWith(1, encoded);
    expect(ours).toMatchObject({ opType: 'Slice', name: 'featx/slice', inputs: ['x', '', 'ends'], outputs: ['y'] });
    expect(ours.attributes.map(({ name, type, i, ints }) => [name, type, i, ints])).toEqual([
      ['axis', 2, -1, []],
      ['perm', 7, null, [0, -2, 2 ** 40]],
      ['value', 4, null, []],
    ]);
    const raw = theirs?.node?.[0].attribute?.[2].t?.rawData ?? new Uint8Array(0);
    expect([...new BigInt64Array(Uint8Array.from(raw).buffer)]).toEqual([2n ** 40n, -5n]);
  });

  test('names come back byte for byte, also where they are not UTF-8', async () => {
    const name = decodeText(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9));
    const {
      ours: {
        nodes: [ours],
      },
    } = await graphWith(1, encodeNode({ opType: 'Identity', name, inputs: [name], outputs: [name] }));
    expect([ours.name, ours.inputs[0], ours.outputs[0]]).toEqual([name, name, name]);
  });

  test('a tensor of int64', async () => {
    const {
      ours: {
        initializers: [ours],
      },
      theirs,
    } = await graphWith(5, encodeTensor({ name: 'axes', dims: [2], int64: [1, -1] }));
    expect(ours).toMatchObject({ name: 'axes', dims: [2], dataType: 7 });
    expect(theirs?.initializer?.[0].rawData).toHaveLength(16);
  });

  const dim = fc.oneof(fc.nat(2 ** 40), fc.string({ minLength: 1, maxLength: 5 }), fc.constant(null));
  const shaped = fc.record({
    kind: fc.constantFrom('tensor' as const, 'sparse_tensor' as const),
    elemType: fc.integer({ min: 0, max: 26 }),
    shape: fc.option(fc.array(dim, { maxLength: 5 })),
  });
  const { type } = fc.letrec<{ type: ValueType }>((tie) => ({
    type: fc.oneof(
      { maxDepth: 4 },
      shaped,
      fc.constant({ kind: 'opaque' as const }),
      fc.record({ kind: fc.constantFrom('sequence' as const, 'optional' as const), element: fc.option(tie('type')) }),
      fc.record({
        kind: fc.constant('map' as const),
        keyType: fc.integer({ min: 0, max: 26 }),
        value: fc.option(tie('type')),
      }),
    ),
  }));

  test('any type comes back as it was', async () => {
    await fc.assert(
      fc.asyncProperty(type, async (expected) => {
        const { ours } = await graphWith(13, encodeValueInfo('v', expected));
        expect(ours.valueInfo).toMatchObject([{ name: 'v', type: expected }]);
      }),
    );
  });

  test('an unknown rank, a scalar and an unknown dim are three things to the other decoder too', async () => {
    const shapes = await Promise.all(
      [null, [], [null]].map(
        async (shape) =>
          (await graphWith(11, encodeValueInfo('v', { kind: 'tensor', elemType: 1, shape }))).theirs?.input?.[0].type
            ?.tensorType?.shape?.dim?.length ?? null,
      ),
    );
    expect(shapes).toEqual([null, 0, 1]);
    expect((await graphWith(12, encodeValueInfo('named only', null))).ours.outputs).toMatchObject([
      { name: 'named only', type: null },
    ]);
    expect(encodeType({ kind: 'opaque' })).toEqual(Uint8Array.of(0x3a, 0));
  });

  test('opset imports, entries, external data', async () => {
    const external = join(
      message([int(1, 4), int(2, 1), bytes(8, 'w')]),
      encodeExternal({ location: 'w.bin', offset: 2 ** 40, length: 16 }),
    );
    const file = join(
      encodeModel({ opset: [], graph: { extra: [bytes(5, external)] } }),
      bytes(8, encodeOpsetImport('', 21)).bytes,
      bytes(8, encodeOpsetImport('ai.onnx.ml', 3)).bytes,
      bytes(14, encodeEntry('key', 'value')).bytes,
    );
    const model = await indexModel(file);
    expect(model.opsetImports.map(({ domain, version }) => [domain, version])).toEqual([
      ['', 21],
      ['ai.onnx.ml', 3],
    ]);
    expect(model.graph.initializers[0].external?.map(({ key, value }) => [key, value])).toEqual([
      ['location', 'w.bin'],
      ['offset', String(2 ** 40)],
      ['length', '16'],
    ]);
    expect([model.metadata[0].key, await model.text(model.metadata[0].value)]).toEqual(['key', 'value']);
  });
});

describe('nodeMetadata', () => {
  const read = async (extra: readonly Uint8Array[], wanted?: ReadonlySet<string>): Promise<unknown> => {
    const model = await indexModel(
      encodeModel({ graph: { nodes: [{ op: 'N', extra: extra.map((entry) => bytes(9, entry)) }] } }),
    );
    return [...nodeMetadata(model, model.graph.nodes[0], wanted)];
  };
  const entry = (key: string, value: string): Uint8Array => message([bytes(1, key), bytes(2, value)]);

  test('keys and values in file order; the last of one key wins', async () => {
    expect(await read([entry('scope', 'a'), entry('class', 'b'), entry('scope', 'c')])).toEqual([
      ['scope', 'c'],
      ['class', 'b'],
    ]);
    expect(await read([])).toEqual([]);
  });

  test('only the wanted keys, wherever the key stands', async () => {
    const reversed = message([bytes(2, 'late'), bytes(1, 'wanted')]);
    expect(await read([entry('other', 'x'), reversed], new Set(['wanted']))).toEqual([['wanted', 'late']]);
  });

  test('unknown fields and groups are stepped over, a missing key or value is empty', async () => {
    const odd = message([
      int(3, 7),
      float(4, 1),
      double(5, 1),
      bytes(6, 'x'),
      group(7, bytes(1, 'not the key'), group(8)),
      int(1, 9),
      bytes(1, 'k'),
      bytes(2, 'v'),
    ]);
    expect(await read([odd, message([bytes(2, 'only a value')]), message([bytes(1, 'only a key')])])).toEqual([
      ['k', 'v'],
      ['', 'only a value'],
      ['only a key', ''],
    ]);
  });

  test('bytes that are no message are a located error', async () => {
    await expect(read([Uint8Array.of(0x0a, 0x7f)])).rejects.toThrow(ModelFormatError);
    await expect(read([Uint8Array.of(0x0a, 0x7f)])).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_WIRE_TRUNCATED', offset: expect.any(Number) }),
    );
  });

  test('an entry over 1 MiB is left out', async () => {
    expect(await read([entry('long', 'x'.repeat(1024 * 1024)), entry('short', 'y')])).toEqual([['short', 'y']]);
  });
});

describe('smallIntegers', () => {
  const read = async (spec: TensorSpec, packed = true): Promise<readonly number[] | null> => {
    const model = await indexModel(encodeModel({ graph: { initializers: [spec] } }, { packed }));
    return smallIntegers(model, model.graph.initializers[0]);
  };

  test.each([true, false])('int64 and int32, raw and typed (packed: %s)', async (packed) => {
    const values = [0, -1, 300, 2 ** 31 - 1, -(2 ** 31)];
    for (const type of ['int64', 'int32'] as const)
      for (const typed of [true, false])
        expect(await read({ name: 't', dims: [5], type, data: values, typed }, packed)).toEqual(values);
  });

  test('null for floats, for external values, for values that were skipped', async () => {
    expect(await read(tensor('t', [1], [1]))).toBeNull();
    expect(await read({ name: 't', dims: [1], type: 'int64', external: [['location', 'w']] })).toBeNull();
    expect(await read({ name: 't', dims: [100_000], type: 'int64', data: new Uint8Array(800_000) })).toBeNull();
    expect(await read({ name: 't', dims: [0], type: 'int64' })).toEqual([]);
  });

  test('bytes that are no varints are a located error', async () => {
    await expect(read({ name: 't', dims: [1], type: 'int64', extra: [bytes(7, Uint8Array.of(0x80))] })).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_WIRE_TRUNCATED' }),
    );
  });

  test('a Constant of a node', async () => {
    const model = await indexModel(
      encodeModel({
        graph: { nodes: [node('Constant', [], ['c'], { value: { tensor: tensor('', [2], [3, 4], 'int64') } })] },
      }),
    );
    expect(smallIntegers(model, model.graph.nodes[0].attributes[0].tensors[0])).toEqual([3, 4]);
  });
});
