import { encodeModel } from '../testing/model-builder.js';
import { node, tensor, value } from '../testing/model-spec.js';
import { bytes, join } from '../testing/wire-writer.js';
import { WireType, type Field } from '../wire/fields.js';
import { materialize } from '../wire/pieces.js';
import { BufferSource } from '../wire/source.js';
import { indexModel } from './model.js';
import type { OnnxModel } from './records.js';
import { patched, type Patch } from './patch.js';
import { payloadRanges } from '../wire/fields.js';

const body = {
  name: 'body',
  nodes: [node('Constant', [], ['k'], { value: { tensor: tensor('inner', [2], [1, 2]) } })],
  initializers: [tensor('b', [1], [3])],
  outputs: [value('k', [2])],
};
const file = encodeModel({
  graph: {
    nodes: [node('Relu', ['x'], ['y']), node('If', ['c'], ['z'], { then_branch: { graph: body } })],
    initializers: [tensor('w', [2], [5, 6])],
    inputs: [value('x', [1])],
  },
});

/** The graph with patches inside, read again. */
async function patchedGraph(model: OnnxModel, patches: readonly Patch[]): Promise<OnnxModel> {
  const content = await materialize(new BufferSource(file), patched(model.graph.parts[0], patches));
  return indexModel(bytes(7, content).bytes);
}

test('no patches: the bytes themselves, as one range', async () => {
  const {
    graph: {
      parts: [graph],
    },
  } = await indexModel(file);
  expect(patched(graph, [])).toEqual([{ start: graph.payload, end: graph.end }]);
});

test('patches at several depths at once: every length around them follows', async () => {
  const model = await indexModel(file);
  const owner = model.graph.nodes[1];
  const inner = owner.attributes[0].graphs[0];
  const replace = (tensorAt: OnnxModel['graph']['initializers'][number], number: number, name: string): Patch => ({
    start: tensorAt.parts[0].start,
    end: tensorAt.parts[0].end,
    enclosing: tensorAt.enclosing,
    pieces: [bytes(number, bytes(8, name).bytes).bytes],
  });
  const long = 'n'.repeat(300);
  const result = await patchedGraph(model, [
    replace(inner.nodes[0].attributes[0].tensors[0], 5, long),
    replace(model.graph.initializers[0], 5, 'new_w'),
    replace(inner.initializers[0], 5, 'new_b'),
  ]);
  const newInner = result.graph.nodes[1].attributes[0].graphs[0];
  expect(newInner.nodes[0].attributes[0].tensors[0].name).toBe(long);
  expect(newInner.initializers.map(({ name }) => name)).toEqual(['new_b']);
  expect(result.graph.initializers.map(({ name }) => name)).toEqual(['new_w']);
  expect(result.graph.nodes[0]).toMatchObject({ opType: 'Relu', inputs: ['x'] });
});

test('an empty range inserts, an empty list of pieces removes', async () => {
  const model = await indexModel(file);
  const [graph] = model.graph.parts;
  const [relu] = model.graph.nodes;
  const result = await patchedGraph(model, [
    { start: graph.payload, end: graph.payload, enclosing: [graph], pieces: [bytes(2, 'named').bytes] },
    { start: relu.field.start, end: relu.field.end, enclosing: [graph], pieces: [] },
  ]);
  expect(result.graph.nodes.map(({ opType }) => opType)).toEqual(['If']);
});

test('payloadRanges are the message, its parts one after the other', async () => {
  const split = encodeModel({ graph: { nodes: [node('Relu', ['x'], ['y'])], name: 'g' } }, { graphPieces: 2 });
  const model = await indexModel(split);
  const whole = await materialize(new BufferSource(split), payloadRanges(model.graph.parts));
  expect((await indexModel(join(bytes(7, whole).bytes))).graph).toMatchObject({
    name: 'g',
    nodes: [{ opType: 'Relu' }],
  });
});

describe('the pieces of a message', () => {
  const message: Field = { number: 1, wireType: WireType.bytes, start: 0, payload: 2, end: 20 };
  const patch = (start: number, end: number, ...pieces: readonly Uint8Array[]): Patch => ({
    start,
    end,
    enclosing: [message],
    pieces,
  });
  const [a, b, c, inserted] = [1, 2, 3, 4].map((byte) => Uint8Array.of(byte));

  test('stand in the order of the file whatever the order of the patches, and none is empty', () => {
    const patches = [patch(12, 14, c), patch(10, 12, b), patch(4, 6, a), patch(4, 4, inserted)];
    const expected = [{ start: 2, end: 4 }, inserted, a, { start: 6, end: 10 }, b, c, { start: 14, end: 20 }];
    expect(patched(message, patches)).toEqual(expected);
    expect(patched(message, patches.toReversed())).toEqual(expected);
  });

  test('hold nothing of a range that was replaced, if a part of it is taken out too', () => {
    expect(patched(message, [patch(4, 10, a), patch(6, 8)])).toEqual([{ start: 2, end: 4 }, a, { start: 10, end: 20 }]);
  });
});
