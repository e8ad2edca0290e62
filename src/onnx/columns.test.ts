import * as fc from 'fast-check';
import { encodeModel } from '../testing/model-builder.js';
import { node, value } from '../testing/model-spec.js';
import { columnsAmong, columnsOf, consumersByName, producersByName } from './columns.js';
import { indexModel } from './model.js';
import type { Node } from './records.js';

const name = fc.constantFrom('', 'a', 'b', 'c', '__proto__', 'd');

/** Nodes that read and make anything. */
const nodes = fc
  .array(fc.record({ inputs: fc.array(name, { maxLength: 5 }), outputs: fc.array(name, { maxLength: 3 }) }))
  .map((each) => each.map((names, index) => ({ index, opType: 'Op', attributes: [], ...names }) as unknown as Node));

test('who reads and makes a tensor is what the lists of its nodes say', () => {
  fc.assert(
    fc.property(nodes, (graph) => {
      const columns = columnsOf(graph);
      const producers = producersByName(columns);
      const consumers = consumersByName(columns);
      for (const tensor of ['a', 'b', 'c', '__proto__', 'd', 'absent']) {
        const maker = graph.findLast(({ outputs }) => outputs.includes(tensor));
        expect(producers.get(tensor)?.node).toBe(maker);
        expect(producers.get(tensor)?.output).toBe(maker?.outputs.lastIndexOf(tensor));
        const readers = graph.filter(({ inputs }) => inputs.includes(tensor));
        expect(consumers.get(tensor) ?? []).toEqual(readers);
        expect(consumers.has(tensor)).toBe(readers.length > 0);
      }
      expect([producers.has(''), consumers.has('')]).toEqual([false, false]);
      expect([...consumers.keys()].sort()).toEqual(
        [...new Set(graph.flatMap(({ inputs }) => inputs))].filter(Boolean).sort(),
      );
    }),
  );
});

test('some nodes of a graph, in any order, keep the numbers of its tensors', () => {
  fc.assert(
    fc.property(nodes, fc.infiniteStream(fc.nat(100)), (graph, keys) => {
      const columns = columnsOf(graph);
      const some = graph.map((each) => [keys.next().value, each] as const).filter(([key]) => Number(key) % 3 > 0);
      const kept = some.sort(([a], [b]) => Number(a) - Number(b)).map(([, each]) => each);
      const among = columnsAmong(columns, kept);
      if (among === null) throw new Error('the nodes are its own');
      expect(among.nodes).toBe(kept);
      expect([among.count, among.names]).toEqual([columns.count, columns.names]);
      for (const [at, { inputs, outputs }] of kept.entries()) {
        const numbers = (names: readonly string[]): number[] => names.map((each) => columns.tensorOf.get(each) ?? -1);
        const { starts, items } = among.inputs;
        expect([...items.subarray(starts[at], starts[at + 1])]).toEqual(numbers(inputs));
        expect([...among.makes.items.subarray(among.makes.starts[at], among.makes.starts[at + 1])]).toEqual(
          numbers(outputs.filter(Boolean)),
        );
      }
      for (const tensor of ['a', '__proto__', 'd']) {
        const number = columns.tensorOf.get(tensor);
        if (number === undefined) continue;
        expect(among.maker[number]).toBe(kept.findLastIndex(({ outputs }) => outputs.includes(tensor)));
      }
    }),
  );
});

test('nodes of another graph, or with bodies, are not among it', async () => {
  const graph = {
    inputs: [value('x', [1]), value('yes', [], 'bool')],
    outputs: [value('y', [1])],
    nodes: [
      node('Neg', ['x'], ['n']),
      node('If', ['yes'], ['y'], {
        then_branch: { graph: { nodes: [node('Neg', ['n'], ['a'])], outputs: [value('a', [1])] } },
        else_branch: { graph: { nodes: [node('Abs', ['n'], ['b'])], outputs: [value('b', [1])] } },
      }),
    ],
  };
  await using one = await indexModel(encodeModel({ graph }));
  await using other = await indexModel(encodeModel({ graph }));
  const columns = columnsOf(one.graph.nodes);
  expect(columnsAmong(columns, one.graph.nodes.slice(0, 1))?.count).toBe(columns.count);
  expect(columnsAmong(columns, one.graph.nodes)).toBeNull();
  expect(columnsAmong(columns, other.graph.nodes.slice(0, 1))).toBeNull();
});
