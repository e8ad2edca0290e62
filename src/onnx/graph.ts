import { assertFunctions } from './functions.js';
import { notesOn, UNSORTED } from './notes.js';
import type { FunctionDef, Graph, Node, OnnxModel, SparseTensor, Tensor, ValueInfo } from './records.js';
import { bodiesOf, definedNames, functionKey, invalid, nodeLabel, readsOf } from './scopes.js';
import { checkTensor } from './tensor-data.js';
import { graphsOf, tensorsOf } from './walk.js';

export { bodiesOf, capturesOf, functionKey, readsOf } from './scopes.js';
export { attributeTensors, graphsOf, tensorsOf } from './walk.js';

/** Who makes and who reads each tensor of the main graph. Bodies count through what they capture. */
export interface GraphView {
  readonly model: OnnxModel;
  readonly producerOf: ReadonlyMap<string, Producer>;
  /** Nodes that read a tensor, as an input or inside one of their bodies, in file order. */
  readonly consumersOf: ReadonlyMap<string, readonly Node[]>;
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly sparseInitializers: ReadonlyMap<string, SparseTensor>;
  readonly inputs: ReadonlyMap<string, ValueInfo>;
  readonly outputs: ReadonlyMap<string, ValueInfo>;
  /** Whether every node stands behind the nodes it reads from. */
  readonly sorted: boolean;
  readonly warnings: readonly string[];
}

/** Where a tensor comes from. */
export interface Producer {
  readonly node: Node;
  /** Which output of the node. */
  readonly output: number;
}

/**
 * The main graph as a lookup, checked: operator sets, tensors whose values fit their dims, single assignment, nothing
 * missing, no cycle; functions likewise, and none calls itself.
 * @throws ModelFormatError `FEATX_GRAPH_*` naming every tensor that is wrong
 */
export function viewGraph(model: OnnxModel): GraphView {
  const { graph } = model;
  const producerOf = new Map<string, Producer>();
  const consumersOf = new Map<string, Node[]>();
  const initializers = new Map(graph.initializers.map((tensor) => [tensor.name, tensor]));
  const sparseInitializers = new Map(
    graph.sparseInitializers.flatMap((sparse) => (sparse.values ? [[sparse.values.name, sparse] as const] : [])),
  );
  const inputs = new Map(graph.inputs.map((input) => [input.name, input]));
  const outputs = new Map(graph.outputs.map((output) => [output.name, output]));
  const isGiven = (name: string): boolean => initializers.has(name) || inputs.has(name) || sparseInitializers.has(name);
  assertOperatorSets(model);
  for (const tensor of tensorsOf(model)) checkTensor(tensor, model.source.path);
  assertGivenOnce(model, initializers.size);
  produce(model, producerOf, isGiven);
  const warnings = [...notesOn(model), ...assertFunctions(model)];
  let sorted = true;
  const missing = new Map<string, Node>();
  for (const node of graph.nodes) {
    for (const name of readsOf(node)) {
      const consumers = consumersOf.get(name);
      if (consumers === undefined) consumersOf.set(name, [node]);
      else if (consumers[consumers.length - 1] !== node) consumers.push(node);
      const producer = producerOf.get(name);
      if (producer !== undefined) sorted &&= producer.node.index < node.index;
      else if (!isGiven(name) && !missing.has(name)) missing.set(name, node);
    }
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
  for (const output of graph.outputs) {
    if (!producerOf.has(output.name) && !isGiven(output.name))
      throw invalid(model, 'FEATX_GRAPH_MISSING_TENSOR', `the output '${output.name}' is never made`, 'graph.output');
  }
  const view: GraphView = {
    model,
    producerOf,
    consumersOf,
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

/** Notes who makes each tensor: one node, and nothing that is given. */
function produce(model: OnnxModel, producerOf: Map<string, Producer>, isGiven: (name: string) => boolean): void {
  const { graph } = model;
  for (const node of graph.nodes) {
    node.outputs.forEach((name, output) => {
      if (name === '') return;
      const maker = producerOf.get(name)?.node;
      if (maker !== undefined || isGiven(name)) {
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
      producerOf.set(name, { node, output });
    });
  }
}

/** Kahn's algorithm over a graph whose nodes are out of order. */
function assertAcyclic(view: GraphView): void {
  const { nodes } = view.model.graph;
  const waiting = nodes.map(
    (node) => new Set(readsOf(node).flatMap((name) => view.producerOf.get(name)?.node ?? [])).size,
  );
  const ready = nodes.filter((node) => waiting[node.index] === 0);
  let done = 0;
  for (let node = ready.pop(); node !== undefined; node = ready.pop()) {
    done++;
    const readers = new Set(node.outputs.flatMap((name) => view.consumersOf.get(name) ?? []));
    for (const reader of readers) if (--waiting[reader.index] === 0) ready.push(reader);
  }
  if (done === nodes.length) return;
  const stuck = nodes.filter((node) => waiting[node.index] > 0);
  throw invalid(
    view.model,
    'FEATX_GRAPH_CYCLE',
    `its nodes depend on each other in a cycle: ${cycleThrough(view, stuck[0], waiting)}`,
    `graph.node[${stuck[0].index}]`,
  );
}

/** The shortest cycle through the first node that is found to lie on one, each node reading from the next. */
function cycleThrough(view: GraphView, start: Node, waiting: readonly number[]): string {
  const before = (node: Node): Node[] =>
    readsOf(node)
      .flatMap((name) => view.producerOf.get(name)?.node ?? [])
      .filter(({ index }) => waiting[index] > 0);
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

/**
 * Whether a tensor of the main graph has that name: a node makes it, or it is given. An empty name is an omitted value,
 * whatever a file calls by it.
 */
export function hasTensor(view: GraphView, name: string): boolean {
  return name !== '' && (view.producerOf.has(name) || view.inputs.has(name) || isInitializer(view, name));
}

/**
 * Names of the tensors of the main graph: inputs, what nodes make, and constants; one that is input and constant comes
 * twice.
 */
export function* tensorNames(view: GraphView): Generator<string> {
  for (const known of [view.inputs, view.producerOf, view.initializers, view.sparseInitializers])
    for (const name of known.keys()) if (name !== '') yield name;
}

/**
 * Whether the main graph has a constant of that name, dense or sparse; where it is an input too, a caller may override
 * it.
 */
export function isInitializer(
  { initializers, sparseInitializers }: Pick<GraphView, 'initializers' | 'sparseInitializers'>,
  name: string,
): boolean {
  return initializers.has(name) || sparseInitializers.has(name);
}

/** The nodes that the given tensors need, themselves included. */
export function ancestorsOf(view: GraphView, tensors: Iterable<string>): ReadonlySet<Node> {
  const needed = new Set<Node>();
  const stack: Node[] = [];
  const need = (name: string): void => {
    const node = view.producerOf.get(name)?.node;
    if (node === undefined || needed.has(node)) return;
    needed.add(node);
    stack.push(node);
  };
  for (const name of tensors) need(name);
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) for (const name of readsOf(node)) need(name);
  return needed;
}

/** The model-local functions that the given nodes call, directly, inside bodies, or through other functions. */
export function functionsUsedBy(model: OnnxModel, nodes: Iterable<Node>): ReadonlySet<FunctionDef> {
  const byKey = new Map(
    model.functions.map((definition) => [
      functionKey(definition.domain, definition.name, definition.overload),
      definition,
    ]),
  );
  const used = new Set<FunctionDef>();
  const stack: Node[] = [...nodes];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    const definition = byKey.get(functionKey(node.domain, node.opType, node.overload));
    if (definition !== undefined && !used.has(definition)) {
      used.add(definition);
      for (const inner of definition.nodes) stack.push(inner);
      for (const body of bodiesOf({ attributes: definition.defaults }))
        for (const inner of body.nodes) stack.push(inner);
    }
    for (const body of bodiesOf(node)) for (const inner of body.nodes) stack.push(inner);
  }
  return used;
}

/** Every tensor name in any scope: what a fresh name must not be. */
export function allNames(model: OnnxModel): Set<string> {
  const names = new Set<string>();
  for (const graph of graphsOf(model)) {
    for (const name of definedNames(graph)) names.add(name);
    for (const output of graph.outputs) names.add(output.name);
    for (const info of graph.valueInfo) names.add(info.name);
    for (const node of graph.nodes) for (const name of node.inputs) names.add(name);
  }
  return names;
}
