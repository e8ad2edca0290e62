import * as fc from 'fast-check';
import { columnsOf, consumersByName, producersByName } from './columns.js';
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
