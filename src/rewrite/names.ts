import { bodiesOf, type GraphView, type Needed } from '../onnx/graph.js';
import { nodesNamed } from '../onnx/node-rows.js';
import type { Graph } from '../onnx/records.js';

/** What the names of nodes begin with that are added here. */
const OWN = 'featx/';

/** Every name in the scopes of what is kept, and the names given to outputs so far. */
export class NamePool {
  private readonly names = new Set<string>();
  private readonly outputs = new Set<string>();
  private nodes: ReadonlySet<string> | null = null;
  /** Where the search for a free name goes on. */
  private readonly counts = new Map<string, number>();

  constructor(
    private readonly view: GraphView,
    private readonly kept: Needed,
    keepsOutputs: boolean,
    /** Tensors that nodes make in the model and that are inputs of the result. */
    private readonly given: ReadonlySet<string> = new Set(),
  ) {
    for (const node of kept.nodes)
      for (const body of bodiesOf(node)) for (const name of namesIn(body)) this.names.add(name);
    if (keepsOutputs) for (const { name } of view.model.graph.outputs) this.outputs.add(name);
  }

  has(name: string): boolean {
    return this.names.has(name) || this.outputs.has(name) || this.kept.tensors.has(name);
  }

  /** Whether an output of the result already has that name. */
  isGivenAway(name: string): boolean {
    return this.outputs.has(name);
  }

  /** Whether a tensor that a node makes in the model is an input of the result. */
  isGiven(name: string): boolean {
    return this.given.has(name);
  }

  claim(name: string): void {
    this.names.add(name);
    this.outputs.add(name);
  }

  /** Whether a node that stays has a name that another may be added under: ONNX Runtime refuses two of one name. */
  private isNode(name: string): boolean {
    if (!name.startsWith(OWN)) return false;
    const own = (): string[] =>
      nodesNamed(this.view.model.graph.nodes, OWN).flatMap((node) => (this.kept.nodes.has(node) ? [node.name] : []));
    this.nodes ??= new Set(own());
    return this.nodes.has(name);
  }

  /** A name that no tensor of any scope has, and none of our nodes: `base`, else `base_1`, `base_2`, … */
  fresh(base: string): string {
    let count = this.counts.get(base) ?? 0;
    let name = count === 0 ? base : `${base}_${count}`;
    while (this.has(name) || this.isNode(name)) name = `${base}_${++count}`;
    this.counts.set(base, count);
    this.names.add(name);
    return name;
  }
}

function* namesIn(graph: Graph): Generator<string> {
  for (const { name } of [...graph.inputs, ...graph.outputs, ...graph.initializers]) yield name;
  for (const { values } of graph.sparseInitializers) if (values !== null) yield values.name;
  for (const node of graph.nodes) {
    yield* node.inputs;
    yield* node.outputs;
    for (const body of bodiesOf(node)) yield* namesIn(body);
  }
}
