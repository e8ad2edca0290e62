import * as fc from 'fast-check';
import { arbitraryModel, arbitraryStyle } from '../testing/arbitrary-model.js';
import { decodeModel, meaningOfModel, meaningOfProto } from '../testing/decode.js';
import { fixtureFiles } from '../testing/fixture-files.js';
import { FIXTURES } from '../testing/fixtures/all.js';
import { RICH_MODEL } from '../testing/fixtures/rich.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value, type GraphSpec, type ModelSpec } from '../testing/model-spec.js';
import { bytes, floats, group, int, join, message } from '../testing/wire-writer.js';
import { indexModel } from './model.js';
import type { OnnxModel } from './records.js';

function open(spec: ModelSpec): Promise<OnnxModel> {
  return indexModel(encodeModel(spec));
}

function graph(more: GraphSpec): ModelSpec {
  return { graph: more };
}

describe('the index says what onnx-proto decodes', () => {
  test.each([...fixtureFiles('models'), ...fixtureFiles('timm'), ...fixtureFiles('zoo')])('$name', async ({ read }) => {
    const file = read();
    expect(await meaningOfModel(await indexModel(file))).toEqual(meaningOfProto(decodeModel(file)));
  });

  test('of generated models, whatever the style of the serializer', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryModel, async ({ spec, style }) => {
        expect(await meaningOfModel(await indexModel(encodeModel(spec, style)))).toEqual(
          meaningOfProto(decodeModel(encodeModel(spec))),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('of the fixtures, in any style', async () => {
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...FIXTURES), arbitraryStyle, async ({ model }, style) => {
        expect(await meaningOfModel(await indexModel(encodeModel(model, style)))).toEqual(
          meaningOfProto(decodeModel(encodeModel(model, { packed: style.packed }))),
        );
      }),
      { numRuns: 80 },
    );
  });
});

describe('what onnx-proto does not know', () => {
  test('overloads of nodes and functions, metadata of nodes and the model', async () => {
    const model = await open(RICH_MODEL);
    const [add, , everything] = model.graph.nodes;
    expect(everything.overload).toBe('one');
    expect(add.metadata).toHaveLength(1);
    expect(new TextDecoder().decode(await model.read(add.metadata[0]))).toContain('pkg.torch.onnx.name_scopes');
    expect(model.resident(add.metadata[0])).not.toBeNull();
    expect(
      await Promise.all(model.metadata.map(async ({ key, value: range }) => [key, await model.text(range)])),
    ).toEqual([
      ['license', 'CC0'],
      ['bytes', '\udcff\0\udc80'],
    ]);
    const twice = await open({ functions: [{ name: 'F', domain: 'd', overload: 'o', nodes: [] }], graph: {} });
    expect(twice.functions[0].overload).toBe('o');
  });

  test('an opaque type', async () => {
    const model = await open(
      graph({
        valueInfo: [
          { name: 'o', type: { opaque: 'Blob' } },
          { name: 's', type: { sequence: { opaque: 'Blob' } } },
        ],
      }),
    );
    expect(model.graph.valueInfo.map(({ type }) => type)).toEqual([
      { kind: 'opaque' },
      { kind: 'sequence', element: { kind: 'opaque' } },
    ]);
  });
});

describe('every field of the file is accounted for', () => {
  test.each(fixtureFiles('models'))('$name', async ({ read }) => {
    const file = read();
    const model = await indexModel(file);
    const gaps = (fields: readonly { start: number; end: number }[], start: number, end: number): number[] => {
      const edges = [start, ...fields.flatMap((field) => [field.start, field.end]), end];
      return edges.filter((edge, index) => index % 2 === 1 && edge !== edges[index - 1]);
    };
    expect(gaps([...model.modelFields], 0, file.length)).toEqual([]);
    for (const part of model.graph.parts)
      expect(
        gaps(
          model.graphFields.filter(({ start }) => start >= part.payload && start < part.end),
          part.payload,
          part.end,
        ),
      ).toEqual([]);
  });

  test('a tensor is its header, its payloads and what says where they are', async () => {
    const file = encodeModel(
      graph({
        initializers: [{ ...tensor('t', [2], [1, 2]), doc: 'doc', extra: [int(9001, 1), group(9005, int(1, 1))] }],
      }),
      { order: 'reversed' },
    );
    const model = await indexModel(file);
    const [{ header, payloads, parts, enclosing, place }] = model.graph.initializers;
    expect(enclosing.map(({ number }) => number)).toEqual([7]);
    expect(parts[0].number).toBe(5);
    expect(place).toBe('graph.initializer[0]');
    const covered = [...header, ...payloads].reduce((sum, { start, end }) => sum + end - start, 0);
    // The tag and the length of raw_data belong to neither.
    expect(covered).toBe(parts[0].end - parts[0].payload - 2);
    expect(await model.read(payloads[0])).toEqual(new Uint8Array(Float32Array.of(1, 2).buffer));
  });

  test('the rest of a value_info is all but its name', async () => {
    const model = await open(graph({ valueInfo: [{ ...value('named', [1]), doc: 'doc', extra: [int(9001, 7)] }] }));
    const [{ rest, field }] = model.graph.valueInfo;
    expect(rest.reduce((sum, { start, end }) => sum + end - start, 0)).toBe(
      field.end - field.payload - 'named'.length - 2,
    );
  });
});

describe('protobuf merges what comes twice', () => {
  const merged = (...parts: readonly Uint8Array[]): Promise<OnnxModel> =>
    indexModel(join(encodeModel({ graph: {} }), ...parts));

  test('scalars: the last wins, and that is said', async () => {
    const model = await merged(message([int(1, 10), bytes(2, 'second')]));
    expect([model.irVersion, model.producerName]).toEqual([10, 'second']);
    expect(model.warnings).toEqual([
      expect.stringMatching(/^field 1 of the model \(byte \d+\) may stand once and stands again; the last one counts$/),
    ]);
    const twice = node('N', ['a', 'a'], ['b'], {}, { extra: [bytes(4, 'M')], domain: 'd' });
    const other = await open(
      graph({
        nodes: [twice, twice],
        initializers: [
          { ...tensor('t', [1, 1], [1]), extra: [bytes(9, new Uint8Array(4)), bytes(9, new Uint8Array(4)), int(2, 1)] },
        ],
      }),
    );
    expect(other.warnings).toEqual([
      expect.stringMatching(/^5 fields .* the first of them field 4 of graph\.node\[0\] \(byte \d+\)/),
    ]);
    expect((await open(RICH_MODEL)).warnings).toEqual([]);
  });

  test('raw_data: the last wins; typed values are one list', async () => {
    const model = await open(
      graph({
        initializers: [
          { ...tensor('t', [1], [1]), extra: [bytes(9, 'last')] },
          {
            name: 'f',
            dims: [2],
            extra: [...floats(4, [1]), ...floats(4, [2], { packed: false }), ...floats(4, [3], { packed: false })],
          },
        ],
      }),
    );
    expect(model.graph.initializers[0].payloads).toHaveLength(1);
    expect(await model.text(model.graph.initializers[0].payloads[0])).toBe('last');
    expect(model.graph.initializers[1].payloads.map(({ contiguous, start, end }) => [contiguous, end - start])).toEqual(
      [
        [true, 4],
        [false, 10],
      ],
    );
  });

  test("an attribute's tensor and graph in two parts", async () => {
    const split = node('Constant', [], ['c'], {
      value: {
        tensor: { name: 'first', dims: [2] },
        extra: [
          bytes(5, message([int(2, 7), bytes(8, 'second')])),
          bytes(6, message([bytes(2, 'a')])),
          bytes(6, message([bytes(1, message([bytes(4, 'Relu')]))])),
        ],
      },
    });
    const {
      graph: {
        nodes: [
          {
            attributes: [attribute],
          },
        ],
      },
    } = await open(graph({ nodes: [split] }));
    expect(attribute.tensors).toMatchObject([{ name: 'second', dims: [2], dataType: 7 }]);
    expect(attribute.tensors[0].parts).toHaveLength(2);
    expect(attribute.graphs).toMatchObject([{ name: 'a', nodes: [{ opType: 'Relu' }] }]);
  });

  test("an attribute's sparse tensor in two parts, before the list of others", async () => {
    const part = (name: string): Uint8Array => message([bytes(1, message([bytes(8, name)]))]);
    const split = node('N', [], [], {
      s: {
        int: 1,
        extra: [bytes(23, part('listed')), bytes(22, message([bytes(3, Uint8Array.of(4))])), bytes(22, part('own'))],
      },
    });
    const {
      graph: {
        nodes: [
          {
            attributes: [attribute],
          },
        ],
      },
    } = await open(graph({ nodes: [split] }));
    expect(attribute.sparseTensors.map(({ values, dims }) => [values?.name, dims])).toEqual([
      ['own', [4]],
      ['listed', []],
    ]);
  });

  test('a graph of training_info in two parts, the algorithm first', async () => {
    const part = (name: string): Uint8Array => message([bytes(1, message([bytes(4, name)]))]);
    const model = await merged(
      message([bytes(20, message([bytes(2, part('A')), bytes(1, part('B')), bytes(2, part('C'))]))]),
    );
    expect(
      model.trainingInfo[0].graphs.map(({ nodes, parts }) => [nodes.map(({ opType }) => opType), parts.length]),
    ).toEqual([
      [['B'], 1],
      [['A', 'C'], 2],
    ]);
  });

  test('a oneof: the same member merges, another replaces', async () => {
    const shape = (...dims: readonly Uint8Array[]): Uint8Array =>
      message([bytes(2, message(dims.map((dim) => bytes(1, dim))))]);
    const typed = (...members: readonly ReturnType<typeof bytes>[]): GraphSpec => ({
      valueInfo: [{ name: 'v', type: { tensor: 'float32', extra: members } }],
    });
    const both = message([int(1, 4), bytes(2, 'n')]);
    const types = async (spec: GraphSpec): Promise<unknown> => (await open(graph(spec))).graph.valueInfo[0].type;
    expect(
      await types(
        typed(bytes(1, shape(message([int(1, 4)]), both)), bytes(1, shape(message([bytes(2, 'n'), int(1, 5)])))),
      ),
    ).toEqual({ kind: 'tensor', elemType: 1, shape: [4, 'n', 5] });
    expect(await types(typed(bytes(4, message([bytes(1, message([bytes(1, message([int(1, 7)]))]))]))))).toEqual({
      kind: 'sequence',
      element: { kind: 'tensor', elemType: 7, shape: null },
    });
    expect(await types(typed(bytes(9, new Uint8Array(0)), bytes(5, message([int(1, 8)]))))).toEqual({
      kind: 'map',
      keyType: 8,
      value: null,
    });
  });

  test('data_location and external_data in any order, undone by a later data_location', async () => {
    const place = bytes(13, message([bytes(1, 'location'), bytes(2, 'w.bin')]));
    const model = await open(
      graph({
        initializers: [
          { name: 'a', dims: [], extra: [int(14, 1), place] },
          { name: 'b', dims: [], extra: [place, int(14, 1), int(14, 0)] },
          { name: 'c', dims: [], extra: [place] },
        ],
      }),
    );
    expect(
      model.graph.initializers.map(({ external }) => external?.map(({ key, value: at }) => [key, at]) ?? null),
    ).toEqual([[['location', 'w.bin']], null, null]);
  });
});

describe('integers', () => {
  test('attributes are exact beyond 2^53', async () => {
    const ints = [2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n, -1, 0];
    for (const packed of [true, false]) {
      const {
        graph: {
          nodes: [{ attributes }],
        },
      } = await indexModel(
        encodeModel(graph({ nodes: [node('N', [], [], { list: { ints }, one: { int: -(2n ** 62n) } })] }), { packed }),
      );
      expect(attributes[0].ints).toEqual(ints);
      expect(attributes[1].i).toBe(-(2n ** 62n));
    }
  });

  test('a dimension of a tensor beyond 2^53 is an error, of a value unknown', async () => {
    await expect(open(graph({ initializers: [{ name: 't', dims: [2n ** 60n] }] }))).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_GRAPH_DIMS', field: 'graph.initializer[0]' }),
    );
    const model = await open(graph({ valueInfo: [value('v', [2n ** 60n, -1, 3, null, ''])] }));
    expect(model.graph.valueInfo[0].type).toMatchObject({ shape: [null, null, 3, null, null] });
  });

  test('a dimension of a sparse tensor beyond 2^53 is an error, not another number', async () => {
    await expect(
      open(
        graph({
          sparseInitializers: [
            { dims: [2n ** 62n], values: { name: 's', dims: [1] }, indices: { name: '', dims: [1] } },
          ],
        }),
      ),
    ).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_GRAPH_DIMS', message: expect.stringContaining('4611686018427387904') }),
    );
  });

  test('a value that an enum does not have is an unknown field: what was said before stays', async () => {
    const external = (...locations: readonly (number | bigint)[]) => ({
      name: 't',
      dims: [1],
      extra: [
        bytes(13, message([bytes(1, 'location'), bytes(2, '../secret')])),
        ...locations.map((location) => int(14, location)),
      ],
    });
    const model = await open(
      graph({
        initializers: [external(1, 7), external(1, 7, 0), external(2n ** 32n + 1n), external(7)],
        nodes: [node('N', [], [], { a: { int: 5, extra: [int(20, 99), int(20, -1)] } })],
      }),
    );
    expect(model.graph.initializers.map(({ external: entries }) => entries !== null)).toEqual([
      true,
      false,
      true,
      false,
    ]);
    expect(model.graph.nodes[0].attributes[0].type).toBe(2);
  });

  test('a version beyond 2^53 is an error, not another version', async () => {
    const more = (...fields: readonly ReturnType<typeof bytes>[]): Promise<OnnxModel> =>
      indexModel(join(encodeModel({ graph: {} }), ...fields.map((field) => field.bytes)));
    await expect(more(int(1, 2n ** 60n + 1n))).rejects.toThrow(
      expect.objectContaining({
        code: 'FEATX_GRAPH_VERSION',
        field: 'ir_version',
        message: expect.stringContaining('1152921504606846977'),
      }),
    );
    await expect(more(bytes(8, message([int(2, 2n ** 60n + 1n)])))).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_GRAPH_VERSION', field: 'opset_import.version' }),
    );
    expect((await more(int(1, 2 ** 53 - 1))).irVersion).toBe(2 ** 53 - 1);
  });

  test('an int32 field keeps the low 32 bits, as protobuf does', async () => {
    const model = await open(
      graph({
        initializers: [
          { name: 't', dims: [], extra: [int(2, 2n ** 60n + 7n)] },
          { name: 'u', dims: [], extra: [int(2, 2n ** 32n + 11n)] },
        ],
      }),
    );
    expect(model.graph.initializers.map(({ dataType }) => dataType)).toEqual([7, 11]);
  });
});

describe('wrong wire types make a known field an unknown one', () => {
  test('they change nothing and stay in the list of fields', async () => {
    const odd = [bytes(1, 'x'), int(2, 7), int(7, 1), group(7, int(1, 1)), int(14, 3), int(25, 1)];
    const model = await indexModel(
      join(encodeModel({ irVersion: 9, producer: ['p', ''], graph: {} }), ...odd.map((field) => field.bytes)).slice(),
    );
    expect([model.irVersion, model.producerName, model.graph.parts.length, model.metadata, model.functions]).toEqual([
      9,
      'p',
      1,
      [],
      [],
    ]);
    expect([...model.modelFields].slice(-odd.length).map(({ number, wireType }) => [number, wireType])).toEqual([
      [1, 2],
      [2, 0],
      [7, 0],
      [7, 3],
      [14, 0],
      [25, 0],
    ]);
  });

  test('in tensors and attributes', async () => {
    const model = await open(
      graph({
        nodes: [
          node('N', [], [], { a: { int: 5, extra: [bytes(2, 'four'), int(4, 1), int(2, 1), bytes(20, varintOf(3))] } }),
        ],
        initializers: [{ name: 't', dims: [1], extra: [int(9, 1), int(4, 1), bytes(8, 'named')] }],
      }),
    );
    expect(model.graph.nodes[0].attributes[0]).toMatchObject({ i: 5, s: null, type: 2 });
    expect(model.graph.initializers[0]).toMatchObject({ payloads: [], name: 'named' });
  });
});

function varintOf(small: number): Uint8Array {
  return Uint8Array.of(small);
}

describe('long lists and strings stay in the file', () => {
  test('lists in attributes end after 1,024 entries', async () => {
    const many = Array.from({ length: 3000 }, (_, index) => index);
    const {
      graph: {
        nodes: [{ attributes }],
      },
    } = await open(
      graph({
        nodes: [
          node('N', [], [], { ints: { ints: many }, floats: { floats: many }, strings: { strings: many.map(String) } }),
        ],
      }),
    );
    expect(
      attributes.map(({ ints, floats: numbers, strings }) => [ints.length, numbers.length, strings.length]),
    ).toEqual([
      [1024, 0, 0],
      [0, 1024, 0],
      [0, 0, 1024],
    ]);
  });

  test('a string attribute over 64 KiB is null, a name that long is refused by a limit that can be raised', async () => {
    const long = 'x'.repeat(65 * 1024);
    const model = await open(graph({ nodes: [node('N', [], [], { s: { string: long } })], doc: long }));
    expect(model.graph.nodes[0].attributes[0].s).toBeNull();
    const named = encodeModel(graph({ name: long }));
    await expect(indexModel(named)).rejects.toThrow(expect.objectContaining({ code: 'FEATX_LIMIT_NAME' }));
    expect((await indexModel(named, { limits: { nameBytes: 1e6 } })).graph.name).toBe(long);
  });

  test('packed lists over 1 MiB are read as far as they are kept, and checked to their end', async () => {
    const huge = new Uint8Array(1.2e6);
    const lists = (numbers: Uint8Array): ModelSpec =>
      graph({
        nodes: [
          node('N', [], [], { lists: { ints: [], extra: [bytes(8, numbers), bytes(7, huge)] }, after: { int: 9 } }),
        ],
      });
    const model = await open(lists(huge));
    expect(
      model.graph.nodes[0].attributes.map(({ ints, floats: numbers, i }) => [ints.length, numbers.length, i]),
    ).toEqual([
      [1024, 0, null],
      [0, 0, 9],
    ]);
    const cut = huge.slice();
    cut[cut.length - 1] = 0x80;
    await expect(open(lists(cut))).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_WIRE_TRUNCATED', field: 'graph.node[0].attribute[0]' }),
    );
  });

  test('a tensor has at most 1,024 axes, in one run or in many', async () => {
    const axes = (count: number, packed: boolean): Promise<OnnxModel> =>
      indexModel(
        encodeModel(graph({ initializers: [{ name: 't', dims: Array.from({ length: count }, () => 1) }] }), { packed }),
      );
    for (const packed of [true, false]) {
      expect((await axes(1024, packed)).graph.initializers[0].dims).toHaveLength(1024);
      await expect(axes(1025, packed)).rejects.toThrow(
        expect.objectContaining({ code: 'FEATX_GRAPH_DIMS', field: 'graph.initializer[0]' }),
      );
    }
    const long = { name: 't', dims: [], extra: [bytes(1, new Uint8Array(1.5e6).fill(1))] };
    await expect(open(graph({ initializers: [long] }))).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_GRAPH_DIMS' }),
    );
  });
});

test('ai.onnx is the default domain, everywhere', async () => {
  const model = await open({
    opset: [['ai.onnx', 17]],
    functions: [{ name: 'F', domain: 'ai.onnx', nodes: [node('Relu', [], [], {}, { domain: 'ai.onnx' })] }],
    graph: { nodes: [node('Relu', [], [], {}, { domain: 'ai.onnx' })] },
  });
  expect([
    model.opsetImports[0].domain,
    model.functions[0].domain,
    model.functions[0].nodes[0].domain,
    model.graph.nodes[0].domain,
  ]).toEqual(['', '', '', '']);
});

test('disposing of a model closes its source', async () => {
  let closed = 0;
  const file = encodeModel({ graph: {} });
  {
    await using model = await indexModel({
      size: file.length,
      read: async (start, end) => file.subarray(start, end),
      close: async () => void closed++,
    });
    expect(model.graph.nodes).toEqual([]);
  }
  expect(closed).toBe(1);
});
