import type { GraphView } from '../onnx/graph.js';
import { callsOf } from './calls.js';
import { wholeFlow } from './flow.js';
import { modulesOf } from './modules.js';
import { exitsOf } from './taps.js';

/** A module as `--module` takes it. */
export interface ListedModule {
  readonly path: string;
  /** Where the exporter wrote it. */
  readonly class: string | null;
  readonly calls: number;
  /** Nodes in it, those of the modules inside it included. */
  readonly nodes: number;
  /** The tensors that leave it, in the order they are made: `module#0`, `module#1`, … */
  readonly outputs: readonly string[];
}

/** The modules of a graph in the order of execution, each behind the module it lies in; the root is left out. */
export function listModules(view: GraphView): readonly ListedModule[] {
  const { whole } = wholeFlow(view);
  const tree = modulesOf(view, whole);
  const listed: ListedModule[] = [];
  const stack = tree.root.children.toReversed();
  for (let module = stack.pop(); module !== undefined; module = stack.pop()) {
    listed.push({
      path: module.path,
      class: tree.classes.get(module.path) ?? null,
      calls: callsOf(view, whole, tree, module).length,
      nodes: module.size,
      outputs: exitsOf(whole, module.nodes, view.outputs),
    });
    for (const child of module.children.toReversed()) stack.push(child);
  }
  return listed;
}
