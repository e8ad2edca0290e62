import type { GraphView } from '../onnx/graph.js';
import type { Graph, Node } from '../onnx/records.js';

/** Every name in the scopes of what is kept, and the names given to outputs so far. */
export class NamePool {
  private readonly names = new Set<string>();
  private readonly outputs = new Set<string>();

  constructor(view: GraphView, kept: Iterable<Node>, roots: readonly string[], keepsOutputs: boolean) {
    for (const name of roots) this.names.add(name);
    for (const node of kept) for (const name of namesOfNode(node)) this.names.add(name);
    if (keepsOutputs) for (const { name } of view.model.graph.outputs) this.outputs.add(name);
  }

  has(name: string): boolean {
    return this.names.has(name) || this.outputs.has(name);
  }

  /** Whether an output of the result already has that name. */
  isGivenAway(name: string): boolean {
    return this.outputs.has(name);
  }

  claim(name: string): void {
    this.names.add(name);
    this.outputs.add(name);
  }

  /** A name that no scope uses: `base`, else `base_1`, `base_2`, … */
  fresh(base: string): string {
    let name = base;
    for (let count = 1; this.has(name); count++) name = `${base}_${count}`;
    this.names.add(name);
    return name;
  }
}

function* namesIn(graph: Graph): Generator<string> {
  for (const { name } of [...graph.inputs, ...graph.outputs, ...graph.initializers]) yield name;
  for (const { values } of graph.sparseInitializers) if (values !== null) yield values.name;
  for (const node of graph.nodes) yield* namesOfNode(node);
}

function* namesOfNode(node: Node): Generator<string> {
  yield* node.inputs;
  yield* node.outputs;
  for (const attribute of node.attributes) for (const body of attribute.graphs) yield* namesIn(body);
}
