import { capturesOf, type GraphView } from '../onnx/graph.js';
import { changedNode } from '../onnx/node-rows.js';
import type { Node, Tensor } from '../onnx/records.js';
import { KEEPS_CODES } from './float-twins.js';

/**
 * The domain of an operator of the float view that has its channels last: what stands between two Transposes in files
 * that Keras wrote.
 */
export const CHANNELS_LAST = 'featx.channels-last';

/** The tensors that say what codes stand for; no zero point is 0. */
export interface Scale {
  readonly scale: string;
  readonly zeroPoint: string;
}

/** The graph as it would be without quantization, while it is being drawn. */
export interface Draft {
  readonly file: GraphView;
  readonly nodes: Node[];
  /** Position in `nodes` of what makes a tensor, for the first `placed` of them. */
  readonly made: Map<string, number>;
  placed: number;
  readonly alias: Map<string, string>;
  readonly weights: Map<string, Tensor>;
  readonly codes: Map<string, Scale>;
  /** A float tensor of the file with the value of one that is codes or blocks. */
  readonly floats: Map<string, string>;
  /** Channels of tensors that are stored in blocks, what fills the last block included. */
  readonly blocked: Map<string, number>;
  /** Their channels without it, where something says. */
  readonly widths: Map<string, number>;
  /** Tensors that fusion removed, with one of the same shape. */
  readonly removed: Map<string, string>;
  /** Integer products that wait for their scale. */
  readonly products: Map<string, Node>;
  /** Transposes to channels first that nothing needed yet, with what they turn. */
  readonly turning: Map<string, Node>;
  readonly turned: Map<string, string>;
  readonly done: Set<Node>;
}

/** The name of an input in the float view; what waited to be needed is made now. */
export function resolved(draft: Draft, name: string): string {
  const at = draft.alias.get(name) ?? name;
  const turning = draft.turning.get(at);
  if (turning !== undefined) {
    draft.turning.delete(at);
    push(draft, turning);
  }
  const product = draft.products.get(at);
  if (product !== undefined) {
    draft.products.delete(at);
    push(draft, changedNode(product, { outputs: [at] }));
  }
  return at;
}

/** Adds a node to the draft. */
export function push({ nodes }: Draft, node: Node): void {
  nodes.push(node);
}

/** Position in `nodes` of what makes a tensor. Few graphs ask. */
export function madeAt(draft: Draft, tensor: string): number | undefined {
  const { nodes, made } = draft;
  for (; draft.placed < nodes.length; draft.placed++)
    for (const name of nodes[draft.placed].outputs) if (name !== '') made.set(name, draft.placed);
  return made.get(tensor);
}

/** What is different in a copy of a node. */
export interface Changes {
  readonly op?: string;
  readonly domain?: string;
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
}

/** A node of the file in the float view. */
export function emit(draft: Draft, node: Node, { op, domain, inputs, outputs }: Changes = {}): void {
  const captures = capturesOf(node);
  const isOwn = op === undefined && domain === undefined && inputs === undefined && outputs === undefined;
  if (isOwn && captures.length === 0 && isPlain(draft)) return push(draft, node);
  const reads = inputs ?? (captures.length === 0 ? node.inputs : [...node.inputs, ...captures]);
  const opType = op ?? node.opType;
  const isSame = op === undefined && domain === undefined && outputs === undefined && reads === node.inputs;
  const twin: Node =
    isSame && reads.every((name) => resolved(draft, name) === name)
      ? node
      : changedNode(node, {
          opType,
          domain: domain ?? (op === undefined ? node.domain : ''),
          inputs: reads.map((name) => resolved(draft, name)),
          outputs: outputs ?? node.outputs,
        });
  push(draft, twin);
  const [first] = twin.inputs;
  const codes = KEEPS_CODES.has(opType) ? draft.codes.get(first) : undefined;
  const width = draft.blocked.get(first);
  for (const name of twin.outputs) {
    if (codes !== undefined) draft.codes.set(name, codes);
    if (width !== undefined && !['Transpose', 'Reshape', 'Flatten'].includes(opType)) draft.blocked.set(name, width);
  }
}

/** Whether no tensor has another name so far, waits to be needed or holds codes or blocks. */
function isPlain({ alias: { size }, turning, products, codes, blocked }: Draft): boolean {
  return size === 0 && turning.size === 0 && products.size === 0 && codes.size === 0 && blocked.size === 0;
}

/** A tensor that the file does not hold, of the shape of one that it does. */
export function removedTensor(draft: Draft, like: string, what: string): string {
  let name = `${like} ${what}`;
  while (draft.file.producerOf.has(name) || draft.removed.has(name)) name += ' ';
  draft.removed.set(name, like);
  return name;
}

/** How nodes of one kind are read: true if this one was. */
export type Reading = (draft: Draft, node: Node) => boolean;

/** Lets a tensor of the file stand for another one. */
export function alias(draft: Draft, name: string, to: string): true {
  draft.alias.set(name, draft.alias.get(to) ?? to);
  return true;
}
