import { viewGraph } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value, type GraphSpec } from '../testing/model-spec.js';
import { inferenceNotes, inferWhole } from './whole.js';

const notesOf = async (graph: GraphSpec): Promise<readonly string[]> =>
  inferenceNotes(await inferWhole(viewGraph(await indexModel(encodeModel({ graph })))));

const relus = [node('Relu', ['x'], ['a']), node('Relu', ['a'], ['b']), node('Relu', ['b'], ['y'])];

test('a contradiction is one note that names both sides, and the one that is believed', async () => {
  const notes = await notesOf({
    inputs: [value('x', [2, 3])],
    nodes: relus,
    valueInfo: [value('a', [2, 4])],
    outputs: [value('y', [2, 3])],
  });
  expect(notes).toEqual([
    "the file declares 'a' as float32 [2, 4], but its nodes make float32 [2, 3]; what is inferred is believed",
  ]);
});

test('several of a kind are counted: numbers, ranks and dtypes', async () => {
  const notes = await notesOf({
    inputs: [value('x', ['N', 3])],
    nodes: relus,
    valueInfo: [value('a', ['N', 3, 1]), value('b', ['N', 3], 'int64')],
    outputs: [value('y', ['N', 4])],
  });
  expect(notes).toEqual([
    "the file declares 'a' as float32 [N, 3, 1], but its nodes make float32 [N, 3], and 2 more of the kind; what is inferred is believed",
  ]);
});

test('what is impossible is said with the node and the reason', async () => {
  const notes = await notesOf({
    inputs: [value('x', [2, 3])],
    nodes: [node('Concat', ['x', 'x'], ['y'], { axis: { int: 5 } }, { name: 'join' })],
    outputs: [value('y', null)],
  });
  expect(notes).toEqual(['node[0] join (Concat) is impossible: axis 5 of 2; types and shapes behind it stay unknown']);
});
