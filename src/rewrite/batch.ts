import { UnsupportedModelError } from '../errors.js';
import {
  capturesOf,
  executionOrder,
  functionKey,
  hasBodies,
  hasTensor,
  isInitializer,
  readsOf,
  type GraphView,
  type Needed,
} from '../onnx/graph.js';
import type { NewNode } from '../onnx/encode.js';
import type { Node } from '../onnx/records.js';
import { DataType } from '../onnx/schema.js';
import type { TensorTypes } from '../onnx/types.js';
import { isTensor } from '../shapes/info.js';
import { BATCH_RULES } from './batch-rules.js';
import { Refusal, Visit, type Change, type Entries, type FreeBatch } from './batch-visit.js';
import type { AddedNode, Renaming, TypeEdit } from './edit.js';
import { keptFor } from './kept.js';
import { NodeBuilder } from './nodes.js';
import { descendants } from './span.js';

/** A graph that takes any number of entries. */
export interface FreedBatch {
  readonly name: string;
  /** Entries that the model was exported with. */
  readonly batch: number;
  /** The axis that counts entries, of every tensor that is another for each. */
  readonly entries: ReadonlyMap<string, NonNullable<Entries>>;
  readonly kept: Needed;
  readonly frontNodes: readonly NewNode[];
  readonly addNodes: readonly AddedNode[];
  readonly rename: readonly Renaming[];
  /** How many constants and nodes were changed or added. */
  readonly edits: number;
}

/** What the batch of a cut is freed in. */
export interface Freeing {
  readonly view: GraphView;
  readonly kept: Needed;
  readonly roots: readonly string[];
  /** Tensors that the cut begins with. */
  readonly given: ReadonlySet<string>;
  readonly opset: number;
  readonly fresh: (base: string) => string;
}

/**
 * Follows the axis that counts entries from the inputs to every tensor of a cut, and changes what an exporter wrote for
 * the entries that it had.
 * @throws UnsupportedModelError `FEATX_DIM_BAKED` naming the node and the constant that cannot take other entries
 */
export function freeBatch(freeing: Freeing, asked: FreeBatch): FreedBatch {
  try {
    return new Tracking(freeing, asked).whole();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    throw new UnsupportedModelError(`the batch cannot be freed at ${error.message}`, {
      code: 'FEATX_DIM_BAKED',
      hint: 'cut in front of it, or export the model with a free batch',
    });
  }
}

class Tracking {
  private readonly entries = new Map<string, Entries>();
  private readonly rename: Renaming[] = [];
  private readonly addNodes: AddedNode[] = [];
  private readonly front: NodeBuilder;
  private readonly constants = new Map<string, string>();
  private batch = 1;
  /** How many entries there are, as a tensor of one number. */
  private countOfEntries: string | null = null;
  private source: string | null = null;

  constructor(
    private readonly freeing: Freeing,
    private readonly asked: FreeBatch,
  ) {
    this.front = new NodeBuilder(freeing.opset, freeing.fresh);
  }

  whole(): FreedBatch {
    const { view, kept, roots, given } = this.freeing;
    this.begin();
    const functions = new Set(view.model.functions.map((f) => functionKey(f.domain, f.name, f.overload)));
    const fromInputs = descendants(view, this.entries.keys()).tensors;
    for (const node of executionOrder(view)) {
      if (!kept.nodes.has(node)) continue;
      const captured = capturesOf(node).filter((name) => this.entries.get(name) != null);
      const isCall = functions.has(functionKey(node.domain, node.opType, node.overload));
      const read = node.inputs.filter((name) => this.entries.get(name) != null);
      const visit = this.visit(node);
      if ((hasBodies(node) || isCall) && (captured.length > 0 || read.length > 0))
        visit.refuse(isCall ? 'what it calls is not looked into' : 'its bodies are not looked into');
      if (this.isFolded(node)) {
        for (const name of node.outputs) if (name !== '') this.entries.set(name, null);
        continue;
      }
      this.fold(node, fromInputs);
      const made = read.length === 0 ? null : this.ruled(visit);
      node.outputs.forEach((name, at) => {
        if (name !== '' && !given.has(name)) this.entries.set(name, isList(made) ? (made[at] ?? null) : made);
      });
      for (const change of visit.changes) this.change(node, change);
    }
    const renamed = new Map<number, Set<number>>();
    for (const { node, at } of this.rename) renamed.set(node, (renamed.get(node) ?? new Set()).add(at));
    const reads = (node: Node): readonly string[] => {
      const gone = renamed.get(node.index);
      return gone === undefined ? readsOf(node) : readsOf(node).filter((name) => this.isRead(node, name, gone));
    };
    const added = [...this.addNodes, ...this.front.nodes].flatMap(({ inputs }) => inputs);
    const rest = keptFor(view, [...roots, ...added.filter((name) => hasTensor(view, name))], { given, reads });
    const counted = [...this.entries].flatMap(([name, own]) => (own === null ? [] : [[name, own] as const]));
    return {
      name: this.asked.name,
      batch: this.batch,
      entries: new Map(counted),
      kept: rest,
      frontNodes: this.front.nodes,
      addNodes: this.addNodes,
      rename: this.rename,
      edits: this.rename.length,
    };
  }

  private isRead(node: Node, name: string, gone: ReadonlySet<number>): boolean {
    return node.inputs.some((read, at) => read === name && !gone.has(at)) || capturesOf(node).includes(name);
  }

  /** The inputs whose first axis counts entries. @throws Refusal if there are none */
  private begin(): void {
    const { view, kept, given } = this.freeing;
    const isSource = (name: string): boolean => given.has(name) || !isInitializer(view, name);
    const inputs = [...new Set([...view.inputs.keys(), ...given])].filter(
      (name) => kept.tensors.has(name) && isSource(name),
    );
    const first = (name: string): number | null => {
      const dims = this.dimsOf(name);
      return dims === null || dims.length < 2 ? null : dims[0];
    };
    const originals = [...view.inputs.keys()].filter((name) => !isInitializer(view, name));
    const batch = originals.map(first).find((size) => size !== null) ?? inputs.map(first).find((size) => size !== null);
    if (batch == null || batch < 1) throw new Refusal('the inputs: none has a number for its batch, on axis 0');
    this.batch = batch;
    for (const name of inputs) {
      const size = first(name);
      if (size === null || size === 0 || size % batch !== 0 || (!given.has(name) && size !== batch)) continue;
      this.entries.set(name, { axis: 0, factor: size / batch });
      if (size === batch) this.source ??= name;
    }
    if (this.source === null) throw new Refusal('the inputs: none has one entry of the batch in each place of axis 0');
  }

  private dimsOf(name: string): readonly (number | null)[] | null {
    const info = this.asked.infos.get(name);
    return isTensor(info) && info.shape !== null
      ? info.shape.map((dim) => (typeof dim === 'number' ? dim : null))
      : null;
  }

  private visit(node: Node): Visit {
    const tracked = node.inputs.map((name) => this.entries.get(name) ?? null);
    const { producerOf } = this.freeing.view;
    return new Visit(
      node,
      this.opsetOf(node),
      this.batch,
      tracked,
      (name) => this.asked.infos.get(name),
      (name) => producerOf.get(name)?.node,
    );
  }

  private opsetOf({ domain }: Node): number {
    return this.freeing.view.model.opsetImports.find((each) => each.domain === domain)?.version ?? this.freeing.opset;
  }

  private ruled(visit: Visit): Entries | readonly Entries[] {
    const { domain, opType } = visit.node;
    const rule = BATCH_RULES.get(`${domain}:${opType}`);
    return rule === undefined ? visit.refuse('no rule says what it does with entries') : rule(visit);
  }

  /** Whether all that a node makes are small numbers that are known, as calculations with sizes are. */
  private isFolded({ outputs }: Node): boolean {
    return outputs.every((name) => name === '' || this.numbersOf(name) !== null);
  }

  private numbersOf(name: string): readonly number[] | null {
    const info = this.asked.infos.get(name);
    if (!isTensor(info) || info.value === undefined || !CONSTANTS.has(info.elemType)) return null;
    return info.value.every((scalar): scalar is number => typeof scalar === 'number') ? info.value : null;
  }

  /** What was calculated from sizes stays what it was with the entries that there were. */
  private fold(node: Node, fromInputs: Needed['tensors']): void {
    node.inputs.forEach((name, at) => {
      if (
        name === '' ||
        !fromInputs.has(name) ||
        this.entries.get(name) != null ||
        !this.freeing.view.producerOf.has(name)
      )
        return;
      if (this.numbersOf(name) !== null) this.renamed(node, at, this.constantFor(name));
    });
    const inside = capturesOf(node).find((name) => fromInputs.has(name) && this.numbersOf(name) !== null);
    if (inside !== undefined && this.freeing.view.producerOf.has(inside))
      this.visit(node).refuse(`its bodies read sizes, '${inside}'`);
  }

  private constantFor(name: string): string {
    let made = this.constants.get(name);
    if (made === undefined) {
      const info = this.asked.infos.get(name);
      const dims = this.dimsOf(name)?.map(Number) ?? [];
      made = this.constant(this.numbersOf(name) ?? [], dims, isTensor(info) ? info.elemType : DataType.int64);
      this.constants.set(name, made);
    }
    return made;
  }

  private constant(values: readonly number[], dims: readonly number[], elemType: number): string {
    const tensor = { name: '', dims, dataType: elemType, bytes: bytesOf(values, elemType) };
    return this.front.op('Constant', [], [{ name: 'value', tensor }]);
  }

  private renamed(node: Node, at: number, name: string): void {
    const known = this.rename.findIndex((each) => each.node === node.index && each.at === at);
    if (known >= 0) this.rename.splice(known, 1);
    this.rename.push({ node: node.index, list: 'input', at, name });
  }

  private change(node: Node, change: Change): void {
    const { input } = change;
    const name = node.inputs[input];
    const current = this.rename.find((each) => each.node === node.index && each.at === input)?.name ?? name;
    switch (change.kind) {
      case 'constant':
        return this.renamed(node, input, this.front.ints(change.ints));
      case 'element':
      case 'size': {
        const known = this.numbersOf(name);
        const elemType = this.elemTypeOf(name);
        if (known !== null && change.kind === 'element') {
          const values = known.map((value, at) => (at === change.at ? change.number : value));
          return this.renamed(node, input, this.constant(values, [values.length], elemType));
        }
        const length = this.dimsOf(name)?.[0];
        if (length == null) return this.visit(node).refuse(`the number of sizes in '${name}' is not known`);
        return this.renamed(node, input, this.patched(node, current, length, change));
      }
      case 'expand': {
        const { axis, from } = change;
        const dims = this.dimsOf(name) ?? [];
        const parts = dims.map((size, at) => (at === axis ? this.count() : this.front.ints([size ?? 1])));
        const sizes = parts.length === 1 ? parts[0] : this.front.concat(parts, 0);
        const whole = this.inFrontOf(node, (builder) => builder.op('Expand', [from, sizes]));
        return this.renamed(node, input, whole);
      }
    }
  }

  private elemTypeOf(name: string): number {
    const info = this.asked.infos.get(name);
    return isTensor(info) ? info.elemType : DataType.int64;
  }

  /** Sizes of which one element is another number, or the size of a tensor. */
  private patched(
    node: Node,
    sizes: string,
    length: number,
    change: Change & { readonly kind: 'element' | 'size' },
  ): string {
    const { at } = change;
    return this.inFrontOf(node, (builder) => {
      const own =
        change.kind === 'element'
          ? builder.ints([change.number])
          : builder.sizes(node.inputs[change.of], change.axis, change.axis + 1);
      const parts = [
        ...(at === 0 ? [] : [builder.slice(sizes, 0, 0, at)]),
        own,
        ...(at === length - 1 ? [] : [builder.slice(sizes, 0, at + 1)]),
      ];
      return parts.length === 1 ? parts[0] : builder.concat(parts, 0);
    });
  }

  /** What is built in front of a node. */
  private inFrontOf<T>(node: Node, build: (builder: NodeBuilder) => T): T {
    const builder = new NodeBuilder(this.freeing.opset, this.freeing.fresh);
    const made = build(builder);
    for (const each of builder.nodes) this.addNodes.push({ ...each, before: node.index });
    return made;
  }

  private count(): string {
    return (this.countOfEntries ??= this.front.sizes(this.source ?? '', 0, 1));
  }
}

function isList(made: Entries | readonly Entries[]): made is readonly Entries[] {
  return Array.isArray(made);
}

/** Types that a constant can be written in. */
const CONSTANTS = new Set<number>([DataType.int64, DataType.int32, DataType.bool, DataType.float]);

function bytesOf(values: readonly number[], elemType: number): Uint8Array {
  switch (elemType) {
    case DataType.int64:
      return new Uint8Array(BigInt64Array.from(values, (value) => BigInt(value)).buffer);
    case DataType.int32:
      return new Uint8Array(Int32Array.from(values).buffer);
    case DataType.float:
      return new Uint8Array(Float32Array.from(values).buffer);
    default:
      return Uint8Array.from(values);
  }
}

/** The types of tensors in a graph that takes any number of entries. */
export function typesOfAnyBatch(types: TensorTypes, { entries, name }: FreedBatch): TensorTypes {
  const changed = new Map(types);
  for (const [tensor, { axis, factor }] of entries) {
    const known = types.get(tensor);
    if (known?.shape == null) continue;
    const dim = factor === 1 ? name : `${factor}*${name}`;
    changed.set(tensor, { ...known, shape: known.shape.map((size, at) => (at === axis ? dim : size)) });
  }
  return changed;
}

/** The declarations of inputs and outputs that say another batch. */
export function typeEdits(view: GraphView, types: TensorTypes, { entries }: FreedBatch): readonly TypeEdit[] {
  const { inputs, outputs } = view.model.graph;
  return [...inputs, ...outputs].flatMap((of) => {
    const shape = types.get(of.name)?.shape;
    return entries.has(of.name) && of.type?.kind === 'tensor' && shape !== undefined
      ? [{ of, type: { ...of.type, shape } }]
      : [];
  });
}
