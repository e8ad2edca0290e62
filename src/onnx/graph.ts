import { columnsOf, consumersByName, producersByName, type Columns } from './columns.js';
import { assertFunctions } from './functions.js';
import { notesOn, UNSORTED } from './notes.js';
import { executionOrder, type GraphView } from './reach.js';
import type { Graph, Node, OnnxModel } from './records.js';
import { invalid, nodeLabel, readsOf } from './scopes.js';
import { checkTensor, isHollow } from './tensor-data.js';
import { tensorsOf } from './walk.js';

export {
  ancestorsOf,
  executionOrder,
  executionRows,
  functionsUsedBy,
  hasTensor,
  isInitializer,
  makerOf,
  neededFor,
  tensorNames,
  TensorsAmong,
  type Among,
  type GraphView,
  type Needed,
  type WalkOptions,
} from './reach.js';
export { columnsAmong, columnsOf, consumersByName, producersByName, type Columns, type Producer } from './columns.js';
export { bodiesOf, capturesOf, functionKey, hasBodies, nodeLabel, readsOf } from './scopes.js';
export { attributeTensors, graphsOf, tensorsOf } from './walk.js';

/**
 * The main graph as a lookup, checked: operator sets, tensors whose values fit their dims, single assignment, nothing
 * missing, no cycle; functions likewise, and none calls itself.
 * @throws ModelFormatError `FEATX_GRAPH_*` naming every tensor that is wrong
 */
export function viewGraph(model: OnnxModel): GraphView {
  const { graph } = model;
  const initializers = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const sparseInitializers = new Map(
    graph.sparseInitializers.flatMap((sparse) => (sparse.values ? [[sparse.values.name, sparse] as const] : [])),
  );
  const inputs = new Map(graph.inputs.map((input) => [input.name, input]));
  const outputs = new Map(graph.outputs.map((output) => [output.name, output]));
  const isGiven = (name: string): boolean => initializers.has(name) || inputs.has(name) || sparseInitializers.has(name);
  assertOperatorSets(model);
  const hollow: string[] = [];
  for (const tensor of tensorsOf(model)) {
    checkTensor(tensor, model.source.path);
    if (isHollow(tensor)) hollow.push(tensor.name);
  }
  assertGivenOnce(model, initializers.size);
  const columns = columnsOf(graph.nodes);
  const given = new Uint8Array(columns.count);
  for (const known of [initializers, inputs, sparseInitializers])
    for (const name of known.keys()) given[columns.tensorOf.get(name) ?? given.length] = 1;
  assertMadeOnce(model, columns, given);
  const warnings = [...notesOn(model), ...hollowNotes(hollow), ...assertFunctions(model)];
  const { reads, maker } = columns;
  let sorted = true;
  const missing = new Map<string, Node>();
  for (let row = 0; row < graph.nodes.length; row++)
    for (let at = reads.starts[row]; at < reads.starts[row + 1]; at++) {
      const tensor = reads.items[at];
      if (maker[tensor] >= 0) sorted &&= maker[tensor] < row;
      else if (given[tensor] === 0 && !missing.has(columns.nameOf(tensor)))
        missing.set(columns.nameOf(tensor), graph.nodes[row]);
    }
  if (missing.size > 0) {
    const some = [...missing].slice(0, 5).map(([name, node]) => `'${name}' (read by ${nodeLabel(node)})`);
    throw invalid(
      model,
      'FEATX_GRAPH_MISSING_TENSOR',
      `${missing.size === 1 ? 'a tensor is' : `${missing.size} tensors are`} read and never made: ${some.join(', ')}`,
      `graph.node[${[...missing.values()][0].index}]`,
    );
  }
  const producerOf = producersByName(columns);
  for (const output of graph.outputs) {
    if (!producerOf.has(output.name) && !isGiven(output.name))
      throw invalid(model, 'FEATX_GRAPH_MISSING_TENSOR', `the output '${output.name}' is never made`, 'graph.output');
  }
  const view: GraphView = {
    model,
    columns,
    producerOf,
    consumersOf: consumersByName(columns),
    initializers,
    sparseInitializers,
    inputs,
    outputs,
    sorted,
    warnings,
  };
  if (!sorted) {
    assertAcyclic(view);
    warnings.push(UNSORTED);
  }
  return view;
}

/** What is said of tensors that have dims and no values. */
function hollowNotes(names: readonly string[]): readonly string[] {
  if (names.length === 0) return [];
  const some = names
    .slice(0, 3)
    .map((name) => `'${name}'`)
    .join(', ');
  return [
    `${names.length === 1 ? 'a tensor has' : `${names.length} tensors have`} dims and no values (${some}${names.length > 3 ? ', …' : ''}): the graph can be looked at, and neither it nor its cuts can run`,
  ];
}

/** IR version 3 brought the list of operator sets; no reader knows what a later model without one means. */
function assertOperatorSets(model: OnnxModel): void {
  const { opsetImports, irVersion } = model;
  if (opsetImports.length === 0 && (irVersion === 0 || irVersion >= 3))
    throw invalid(model, 'FEATX_GRAPH_OPSET', 'it imports no operator set', 'opset_import');
}

/** No two inputs, and no two initializers, of one name. */
function assertGivenOnce(model: OnnxModel, differentInitializers: number): void {
  const { graph } = model;
  const given = new Set<string>();
  graph.inputs.forEach(({ name }, index) => {
    if (given.has(name))
      throw invalid(model, 'FEATX_GRAPH_DUPLICATE', `two inputs are named '${name}'`, `graph.input[${index}]`);
    given.add(name);
  });
  if (differentInitializers === graph.initializers.length && graph.sparseInitializers.length === 0) return;
  const constants = new Set<string>();
  for (const [name, field] of constantsOf(graph)) {
    if (constants.has(name))
      throw invalid(
        model,
        'FEATX_GRAPH_DUPLICATE',
        `'${name}' is defined twice, by ${constantNamed(graph, name)} and by ${field}`,
        field,
      );
    constants.add(name);
  }
}

/** Names of initializers, dense and sparse, and where they stand. */
function* constantsOf(graph: Graph): Generator<readonly [string, string]> {
  for (const { name, place } of graph.initializers) yield [name, place];
  for (const [index, { values }] of graph.sparseInitializers.entries())
    yield [values?.name ?? '', `graph.sparse_initializer[${index}]`];
}

function constantNamed(graph: Graph, wanted: string): string {
  for (const [name, place] of constantsOf(graph)) if (name === wanted) return place;
  return 'an initializer';
}

/** Each tensor is made by one node, and by none if it is given. */
function assertMadeOnce(model: OnnxModel, columns: Columns, given: Uint8Array): void {
  const { graph } = model;
  const { nodes, makes } = columns;
  const madeBy = new Int32Array(columns.count).fill(-1);
  for (let row = 0; row < nodes.length; row++)
    for (let at = makes.starts[row]; at < makes.starts[row + 1]; at++) {
      const tensor = makes.items[at];
      if (madeBy[tensor] >= 0 || given[tensor] === 1) {
        const node = nodes[row];
        const name = columns.nameOf(tensor);
        const maker = nodes.at(madeBy[tensor] < 0 ? nodes.length : madeBy[tensor]);
        const earlier =
          maker !== undefined
            ? nodeLabel(maker)
            : graph.inputs.some((input) => input.name === name)
              ? 'an input of the graph'
              : constantNamed(graph, name);
        throw invalid(
          model,
          'FEATX_GRAPH_DUPLICATE',
          `'${name}' is defined twice, by ${earlier} and by ${nodeLabel(node)}`,
          `graph.node[${node.index}]`,
        );
      }
      madeBy[tensor] = row;
    }
}

/** @throws ModelFormatError naming a cycle of nodes that depend on each other */
function assertAcyclic(view: GraphView): void {
  const { nodes } = view.model.graph;
  const done = new Set(executionOrder(view));
  if (done.size === nodes.length) return;
  const stuck = new Set(nodes.filter((node) => !done.has(node)));
  const [first] = stuck;
  throw invalid(
    view.model,
    'FEATX_GRAPH_CYCLE',
    `its nodes depend on each other in a cycle: ${cycleThrough(view, first, stuck)}`,
    `graph.node[${first.index}]`,
  );
}

/** The shortest cycle through the first node that is found to lie on one, each node reading from the next. */
function cycleThrough(view: GraphView, start: Node, stuck: ReadonlySet<Node>): string {
  const before = (node: Node): Node[] =>
    readsOf(node)
      .flatMap((name) => view.producerOf.get(name)?.node ?? [])
      .filter((producer) => stuck.has(producer));
  const seen = new Set<Node>();
  let on = start;
  // A node that waits has a producer that waits: the way back ends on a cycle.
  while (!seen.has(on)) {
    seen.add(on);
    on = before(on)[0] ?? on;
  }
  const readerOf = new Map<Node, Node>();
  const queue = [on];
  for (let at = 0; at < queue.length && !readerOf.has(on); at++) {
    for (const node of before(queue[at])) {
      if (readerOf.has(node)) continue;
      readerOf.set(node, queue[at]);
      queue.push(node);
    }
  }
  const cycle: Node[] = [];
  for (let node = readerOf.get(on); node !== undefined && node !== on; node = readerOf.get(node)) cycle.push(node);
  const shown = [on, ...cycle.reverse()].slice(0, 6).map(nodeLabel);
  return [...shown, ...(cycle.length >= 6 ? ['…'] : []), shown[0]].join(' <- ');
}
