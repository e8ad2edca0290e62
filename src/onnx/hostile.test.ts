import { FeatxError, ModelFormatError, PolicyError } from '../errors.js';
import { meaningOfModel, type Meaning } from '../testing/decode.js';
import { encodeModel, graphMessage } from '../testing/model-builder.js';
import { node, type GraphSpec } from '../testing/model-spec.js';
import { bytes, group, int, join, message, tag, varint } from '../testing/wire-writer.js';
import { seededRandom } from '../testing/random.js';
import { indexModel } from './model.js';

/** The model's meaning, or the error; anything but a FeatxError is thrown. */
async function outcome(file: Uint8Array): Promise<{ readonly meaning: Meaning } | { readonly error: FeatxError }> {
  try {
    const model = await indexModel(file);
    return { meaning: await meaningOfModel(model) };
  } catch (error) {
    if (error instanceof FeatxError) return { error };
    throw error;
  }
}

async function failure(file: Uint8Array): Promise<FeatxError> {
  const result = await outcome(file);
  if ('error' in result) return result.error;
  throw new Error('it should have failed');
}

test('random bytes are refused without a foreign error', async () => {
  const random = seededRandom(9);
  for (let round = 0; round < 2000; round++) {
    const file = Uint8Array.from({ length: 1 + Math.floor(random() * 60) }, () => Math.floor(random() * 256));
    await outcome(file);
    await outcome(join(bytes(7, file).bytes));
  }
});

describe('nesting', () => {
  /** `depth` messages around `innermost`, as the branches of If nodes; every level adds graph, node and attribute. */
  const nestedIfs = (levels: number, innermost: GraphSpec): Uint8Array => {
    let graph = graphMessage(innermost);
    for (let level = 0; level < levels; level++)
      graph = message([
        bytes(1, message([bytes(4, 'If'), bytes(5, message([bytes(1, 'then_branch'), bytes(6, graph)]))])),
      ]);
    return message([int(1, 8), bytes(7, graph)]);
  };

  test('33 bodies inside each other are read, and so are 32 with something in the last', async () => {
    let { graph } = await indexModel(nestedIfs(33, {}));
    for (let level = 0; level < 33; level++) graph = graph.nodes[0].attributes[0].graphs[0];
    expect(graph.nodes).toEqual([]);
    expect(
      'meaning' in
        (await outcome(
          nestedIfs(32, { nodes: [node('Constant', [], ['c'], { value: { tensor: { dims: [1], data: [1] } } })] }),
        )),
    ).toBe(true);
  });

  test.each([
    ['33 bodies with a node in the last', nestedIfs(33, { nodes: [node('Relu', ['x'], ['y'])] })],
    ['34 bodies', nestedIfs(34, {})],
    ['1,000 bodies', nestedIfs(1000, {})],
  ])('%s are refused: more than 100 messages', async (_what, file) => {
    const error = await failure(file);
    expect(error).toBeInstanceOf(PolicyError);
    expect(error.code).toBe('FEATX_WIRE_DEPTH');
    expect(error.message).toMatch(/more than 100 deep in graph\.node\[0\]\.attribute\[0\]\.g/);
  });

  test('the limit can be raised', async () => {
    const file = nestedIfs(300, {});
    await expect(indexModel(file, { limits: { depth: 901 } })).resolves.toBeDefined();
    await expect(indexModel(file, { limits: { depth: 900 } })).rejects.toThrow(PolicyError);
  });

  test('types inside types', async () => {
    const nest = (levels: number): Uint8Array => {
      let type = message([bytes(1, message([int(1, 1)]))]);
      for (let level = 0; level < levels; level++) type = message([bytes(4, message([bytes(1, type)]))]);
      return message([bytes(7, message([bytes(11, message([bytes(1, 'x'), bytes(2, type)]))]))]);
    };
    expect('meaning' in (await outcome(nest(48)))).toBe(true);
    expect((await failure(nest(49))).code).toBe('FEATX_WIRE_DEPTH');
    expect((await failure(nest(1000))).code).toBe('FEATX_WIRE_DEPTH');
  });

  test('a million groups inside each other are refused at the 101st', async () => {
    const error = await failure(join(encodeModel({ graph: {} }), new Uint8Array(1_000_000).fill(0x0b)));
    expect(error.code).toBe('FEATX_WIRE_DEPTH');
  });

  test('100 groups are fine, 101 are not', async () => {
    const nest = (levels: number): Uint8Array => {
      let fields = int(1, 1);
      for (let level = 0; level < levels; level++) fields = group(100 + level, fields);
      return join(encodeModel({ graph: {} }), fields.bytes);
    };
    expect('meaning' in (await outcome(nest(100)))).toBe(true);
    expect((await failure(nest(101))).code).toBe('FEATX_WIRE_DEPTH');
  });
});

describe('hostile wire data', () => {
  const model = encodeModel({ graph: {} });
  const graphOf = (...content: readonly Uint8Array[]): Uint8Array =>
    join(int(1, 8).bytes, bytes(7, join(...content)).bytes);

  test.each([
    ['trailing zeros', join(model, new Uint8Array(16)), 'FEATX_WIRE_TAG', model.length],
    ['a stray end of a group', join(model, tag(5, 4)), 'FEATX_WIRE_GROUP', model.length],
    ['a group that ends as another', join(model, tag(100, 3), tag(101, 4)), 'FEATX_WIRE_GROUP', model.length + 2],
    ['a group that does not end', join(model, tag(100, 3), int(1, 1).bytes), 'FEATX_WIRE_GROUP', model.length],
    ['a group that ends outside its message', graphOf(tag(100, 3)), 'FEATX_WIRE_GROUP', 4],
    ['wire type 6', join(model, varint(8 + 6)), 'FEATX_WIRE_TAG', model.length],
    ['wire type 7 inside a group', join(model, tag(100, 3), varint(8 + 7)), 'FEATX_WIRE_TAG', model.length + 2],
    ['a tag of six bytes', join(model, varint(8, 6), Uint8Array.of(0)), 'FEATX_WIRE_TAG', model.length],
    ['a varint of eleven bytes', join(model, tag(9001, 0), varint(1, 11)), 'FEATX_WIRE_VARINT', model.length + 3],
    ['a length of six bytes', join(model, tag(9001, 2), varint(0, 6)), 'FEATX_WIRE_LENGTH', model.length + 3],
    ['a negative length', join(model, tag(9001, 2), varint(-1)), 'FEATX_WIRE_LENGTH', model.length + 3],
    ['a length of 2^31 - 1', join(model, tag(7, 2), varint(2 ** 31 - 1)), 'FEATX_WIRE_TRUNCATED', model.length + 1],
    [
      'a node longer than its graph, but not than the file',
      join(graphOf(tag(1, 2), varint(10)), bytes(9001, 'x'.repeat(20)).bytes),
      'FEATX_WIRE_TRUNCATED',
      5,
    ],
    [
      'a length inside a group beyond its message',
      graphOf(tag(100, 3), tag(1, 2), varint(99)),
      'FEATX_WIRE_TRUNCATED',
      7,
    ],
    ['a fixed64 that is cut off', join(model, tag(9001, 1), new Uint8Array(7)), 'FEATX_WIRE_TRUNCATED', model.length],
    ['a fixed32 that is cut off by its message', graphOf(tag(9001, 5), new Uint8Array(3)), 'FEATX_WIRE_TRUNCATED', 4],
    [
      'a packed list that ends inside a varint',
      graphOf(bytes(5, join(bytes(1, Uint8Array.of(0x80)).bytes)).bytes),
      'FEATX_WIRE_TRUNCATED',
      8,
    ],
    [
      'packed floats of five bytes',
      graphOf(bytes(1, bytes(5, bytes(7, new Uint8Array(5)).bytes).bytes).bytes),
      'FEATX_WIRE_TRUNCATED',
      8,
    ],
  ])('%s', async (_what, file, code, offset) => {
    const error = await failure(file);
    expect(error).toBeInstanceOf(ModelFormatError);
    expect([error.code, error.offset]).toEqual([code, offset]);
    expect(error.message).toMatch(new RegExp(`\\(byte ${offset}\\)$`));
  });

  test('the message names the field path', async () => {
    const bad = message([
      bytes(1, message([bytes(4, 'Relu')])),
      bytes(1, join(bytes(5, bytes(5, bytes(1, Uint8Array.of(0x80)).bytes).bytes).bytes)),
    ]);
    expect(await failure(message([bytes(7, bad)]))).toMatchObject({
      field: 'graph.node[1].attribute[0].t',
      message: expect.stringContaining('in graph.node[1].attribute[0].t'),
    });
  });

  test('no graph, an empty graph', async () => {
    expect((await failure(message([int(1, 8)]))).code).toBe('FEATX_GRAPH_MISSING');
    expect('meaning' in (await outcome(message([bytes(7, '')])))).toBe(true);
  });

  test('more graph than the limit is refused with the way to raise it', async () => {
    const file = encodeModel({
      graph: { nodes: Array.from({ length: 5000 }, (_, index) => node('Relu', [`t${index}`], [`t${index + 1}`])) },
    });
    await expect(indexModel(file, { limits: { indexBytes: 70_000 } })).rejects.toThrow(
      expect.objectContaining({ code: 'FEATX_LIMIT_INDEX', hint: expect.stringContaining('`limits.indexBytes: …`') }),
    );
  });
});
