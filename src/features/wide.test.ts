import { columnsOf, viewGraph, type Columns, type GraphView } from '../onnx/graph.js';
import { indexModel } from '../onnx/model.js';
import { declaredTypes } from '../onnx/types.js';
import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';
import { resolveFeatures } from './resolve.js';

/** A list that counts how often it is looked at. */
function counted(list: Int32Array): { readonly list: Int32Array; readonly looks: () => number } {
  let looks = 0;
  const watched = new Proxy(list, {
    get: (target, key) => {
      looks++;
      return Reflect.get(target, key, target);
    },
  });
  return { list: watched, looks: () => looks };
}

/** How often a node's place among the reads is looked up while features are looked for. */
async function looksAt(view: GraphView): Promise<number> {
  const { list, looks } = counted(view.columns.reads.starts);
  const columns = Object.create(columnsOf(view.model.graph.nodes), {
    reads: { value: { ...view.columns.reads, starts: list } },
  }) as Columns;
  const types = declaredTypes(view.model);
  resolveFeatures({ ...view, columns }, { types, nominal: types, nominalInputShape: new Map(), warnings: [] });
  return looks();
}

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, at) => `${name}${at}`);

test.each([
  [
    'sequences that meet in one node',
    (count: number) => ({
      nodes: [
        ...numbered('x', count).map((name) => node('Relu', [name], [`${name}.relu`])),
        node(
          'Concat',
          numbered('x', count).map((name) => `${name}.relu`),
          ['y'],
          { axis: { int: 1 } },
        ),
      ],
      inputs: numbered('x', count).map((name) => value(name, [1, 8, 16])),
      outputs: [value('y', [1, 8 * count, 16])],
    }),
  ],
  [
    'branches of a picture that all are outputs',
    (count: number) => ({
      nodes: numbered('t', count).map((name) => node('Relu', ['x'], [name])),
      inputs: [value('x', [1, 3, 8, 8])],
      outputs: numbered('t', count).map((name) => value(name, [1, 3, 8, 8])),
    }),
  ],
])('%s: four times as many take four times the steps', async (_what, graph) => {
  const steps = async (count: number): Promise<number> =>
    looksAt(viewGraph(await indexModel(encodeModel({ graph: graph(count) }))));
  const [few, many] = [await steps(150), await steps(600)];
  expect(few).toBeGreaterThan(150);
  expect(many / few).toBeLessThan(5);
});
