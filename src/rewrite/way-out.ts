import { changedNode } from '../onnx/node-rows.js';
import type { NewInput, NewNode } from '../onnx/encode.js';
import { graphsOf, viewGraph, type GraphView } from '../onnx/graph.js';
import { scopeAt, withInside, withScope, type InsideEdit, type ScopePath } from '../onnx/inside.js';
import type { Node, OnnxModel } from '../onnx/records.js';
import { DataType } from '../onnx/schema.js';
import { dataTypeOf, dtypeWord, type TensorType } from '../onnx/types.js';
import { callsOf, isRounds, scopePath, type InnerPlace, type InnerStep } from './inner-places.js';
import { NodeBuilder } from './nodes.js';
import { defaultOpset } from './taps.js';

/**
 * From the innermost scope outwards, one more output at every node on the way.
 * @param type of the tensor in the main graph; null: other branches of an If give the same, to find it out
 */
export function walkOut(view: GraphView, { tensor, steps, label }: InnerPlace, type: TensorType | null): GraphView {
  const out = new WayOut(view, type);
  let name = tensor;
  for (let at = steps.length - 1; at >= 0; at--) {
    const around = scopePath(steps.slice(0, at));
    const handed = at === 0 ? label : out.fresh();
    out.through(steps[at], around, name, handed, steps.slice(0, at + 1));
    name = handed;
  }
  return out.view();
}

class WayOut {
  private model: OnnxModel;
  private readonly edits: InsideEdit[];
  private readonly taken: Set<string>;
  private count = 0;

  constructor(
    before: GraphView,
    private readonly type: TensorType | null,
  ) {
    this.model = before.model;
    this.edits = [...(before.inside ?? [])];
    this.taken = new Set(allNames(before.model));
  }

  view(): GraphView {
    return { ...viewGraph(this.model), inside: this.edits };
  }

  fresh(base = 'featx/inside'): string {
    for (;;) {
      const name = this.count === 0 ? base : `${base}_${this.count}`;
      this.count++;
      if (!this.taken.has(name)) {
        this.taken.add(name);
        return name;
      }
    }
  }

  /** Hands a tensor of the scope that a step leads to on to the scope around it. */
  through(step: InnerStep, around: ScopePath, tensor: string, handed: string, way: readonly InnerStep[]): void {
    const inner = scopePath(way);
    if (step.kind === 'call') this.throughCall(step.function, step.node, around, tensor, handed);
    else if (step.node.opType === 'If') this.throughBranch(step, around, inner, tensor, handed, way);
    else this.throughRounds(step, around, inner, tensor, handed, way);
  }

  private apply(edit: Partial<InsideEdit> & Pick<InsideEdit, 'scope'>): void {
    const whole: InsideEdit = { addNodes: [], addOutputs: [], nodeOutputs: [], nodeInts: [], ...edit };
    this.edits.push(whole);
    this.model = withInside(this.model, whole);
  }

  /** More outputs of a node: names for those that it leaves out, then the new one. */
  private handOn(scope: ScopePath, node: number, before: number, handed: string): void {
    const { outputs } = scopeAt(this.model, scope).nodes[node];
    const missing = Array.from({ length: Math.max(0, before - outputs.length) }, () => this.fresh('featx/unused'));
    this.apply({ scope, nodeOutputs: [{ node, names: [...missing, handed] }] });
  }

  private leaving(scope: ScopePath, tensor: string, type: NewInput['type']): void {
    const output = this.fresh();
    const identity: NewNode = {
      opType: 'Identity',
      name: this.fresh('featx/Identity'),
      inputs: [tensor],
      outputs: [output],
    };
    this.apply({ scope, addNodes: [identity], addOutputs: [{ name: output, type }] });
  }

  /** A further output of the function, and so of each of its calls. */
  private throughCall(index: number, node: Node, around: ScopePath, tensor: string, handed: string): void {
    const scope: ScopePath = { function: index, steps: [] };
    const before = this.model.functions[index].outputs.length;
    const calls = callsOf(this.model, index);
    this.leaving(scope, tensor, null);
    for (const call of calls) {
      const isThis = call.node.index === node.index && isSameScope(call.scope, around);
      this.handOn(call.scope, call.node.index, before, isThis ? handed : this.fresh('featx/unused'));
    }
  }

  /** A further output of both branches; the other gives a tensor without elements. */
  private throughBranch(
    { node, attribute, graph }: Extract<InnerStep, { kind: 'body' }>,
    around: ScopePath,
    inner: ScopePath,
    tensor: string,
    handed: string,
    way: readonly InnerStep[],
  ): void {
    const before = scopeAt(this.model, inner).outputs.length;
    this.leaving(inner, tensor, this.typeIn(way));
    for (const other of node.attributes) {
      if (other.graphs.length === 0 || other.name === attribute) continue;
      const step = { node: node.index, attribute: other.name, graph };
      const scope: ScopePath = { ...around, steps: [...around.steps, step] };
      if (this.type === null) this.likewise(around, node.index, attribute, other.name);
      else this.empty(scope, way);
    }
    this.handOn(around, node.index, before, handed);
  }

  /** For finding a type: both branches are this one. */
  private likewise(around: ScopePath, index: number, from: string, to: string): void {
    this.model = withScope(this.model, around, ({ nodes, outputs }) => {
      const graphs = nodes[index].attributes.find(({ name }) => name === from)?.graphs ?? [];
      const changed = nodes.map((node) =>
        node.index !== index
          ? node
          : changedNode(node, {
              attributes: node.attributes.map((each) => (each.name === to ? { ...each, graphs } : each)),
            }),
      );
      return { nodes: changed, outputs };
    });
  }

  private empty(scope: ScopePath, way: readonly InnerStep[]): void {
    const type = this.typeIn(way);
    const opset = defaultOpset(this.model);
    const builder = new NodeBuilder(opset, (base) => this.fresh(base));
    const rank = type?.kind === 'tensor' ? (type.shape?.length ?? 0) : 0;
    const elemType = type?.kind === 'tensor' ? type.elemType : DataType.float;
    // A scalar has an element: where there is none, there is a list of none.
    const dims = builder.ints(Array.from({ length: Math.max(1, rank) }, () => 0));
    const zeros = builder.op('ConstantOfShape', [dims]);
    const output = elemType === DataType.float ? zeros : builder.cast(zeros, dtypeWord(elemType) ?? 'float32');
    const shape = Array.from({ length: Math.max(1, rank) }, () => 0);
    const declared = { kind: 'tensor', elemType, shape } as const;
    this.apply({ scope, addNodes: builder.nodes, addOutputs: [{ name: output, type: declared }] });
  }

  /** A further output that is stacked, of the body and of the node. */
  private throughRounds(
    { node, attribute }: Extract<InnerStep, { kind: 'body' }>,
    around: ScopePath,
    inner: ScopePath,
    tensor: string,
    handed: string,
    way: readonly InnerStep[],
  ): void {
    const before = scopeAt(this.model, inner).outputs.length - (node.opType === 'Loop' ? 1 : 0);
    this.leaving(inner, tensor, this.typeIn(way));
    const lists = node.attributes.filter(
      ({ name, ints }) => ints.length > 0 && (name === 'scan_output_axes' || name === 'scan_output_directions'),
    );
    if (attribute === 'body' && lists.length > 0)
      this.apply({
        scope: around,
        nodeInts: lists.map(({ name }) => ({ node: node.index, attribute: name, value: 0 })),
      });
    this.handOn(around, node.index, before, handed);
  }

  /** What the tensor is in a scope: without the axes of the rounds around it, and without symbols of the main graph. */
  private typeIn(way: readonly InnerStep[]): NewInput['type'] {
    if (this.type === null) return null;
    const { dtype, shape } = this.type;
    const rounds = way.filter(isRounds).length;
    return {
      kind: 'tensor',
      elemType: dataTypeOf(dtype ?? ''),
      shape: shape?.slice(rounds).map((dim) => (typeof dim === 'number' ? dim : null)) ?? null,
    };
  }
}

function isSameScope(a: ScopePath, b: ScopePath): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Every name that any scope of a model has, of tensors and of nodes. */
function* allNames(model: OnnxModel): Generator<string> {
  const scopes: readonly { readonly nodes: readonly Node[] }[] = [...graphsOf(model), ...model.functions];
  for (const { nodes } of scopes)
    for (const { name, inputs, outputs } of nodes) {
      yield name;
      yield* inputs;
      yield* outputs;
    }
  for (const { inputs, outputs, initializers } of graphsOf(model))
    for (const { name } of [...inputs, ...outputs, ...initializers]) yield name;
  for (const { inputs, outputs } of model.functions) yield* [...inputs, ...outputs];
}
