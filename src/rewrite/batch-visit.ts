import { nodeLabel } from '../onnx/graph.js';
import type { Attribute, Node } from '../onnx/records.js';
import type { Info } from '../shapes/info.js';
import { isTensor } from '../shapes/info.js';

/** What is known of the tensors of a graph at the sizes that it declares. */
export type Infos = ReadonlyMap<string, Info>;

/** That the batch of a cut is to be free, under a name. */
export interface FreeBatch {
  readonly name: string;
  readonly infos: Infos;
}

/**
 * The axis of a tensor that counts entries: its size is a multiple of the batch, and the batch is the outermost factor.
 * Null: the tensor is the same whatever the batch.
 */
export type Entries = { readonly axis: number; readonly factor: number } | null;

/** Why a node cannot take another number of entries than it was exported with. */
export class Refusal extends Error {}

/** That a node makes values of one entry of values of others, whatever their number. */
export class MixesEntries extends Refusal {}

/** What a rule asks to be changed in front of its node. */
export type Change =
  /** The input becomes a constant. */
  | { readonly kind: 'constant'; readonly input: number; readonly ints: readonly number[] }
  /** One element of an input of sizes becomes another number: -1 for the rest, 0 for the same. */
  | { readonly kind: 'element'; readonly input: number; readonly at: number; readonly number: number }
  /** One element of an input of sizes becomes the size that an axis of another input has. */
  | { readonly kind: 'size'; readonly input: number; readonly at: number; readonly of: number; readonly axis: number }
  /** One entry, `from`, is repeated for all of them and takes the place of an input. */
  | { readonly kind: 'expand'; readonly input: number; readonly axis: number; readonly from: string };

/** Sizes of a tensor, as far as they are numbers. */
export type Sizes = readonly (number | null)[];

/** One node for a rule: its inputs, which of their axes count entries, and what it asks to be changed. */
export class Visit {
  readonly changes: Change[] = [];

  constructor(
    readonly node: Node,
    readonly opset: number,
    /** Entries that the model was exported with. */
    readonly batch: number,
    private readonly tracked: readonly Entries[],
    private readonly infoOf: (tensor: string) => Info | undefined,
    private readonly producerOf: (tensor: string) => Node | undefined,
  ) {}

  has(input: number): boolean {
    return (this.node.inputs[input] ?? '') !== '';
  }

  entries(input: number): Entries {
    return this.tracked[input] ?? null;
  }

  /** The inputs that are given, by their places. */
  given(): readonly number[] {
    return this.node.inputs.flatMap((name, input) => (name === '' ? [] : [input]));
  }

  dims(input: number): Sizes | null {
    return sizesOf(this.infoOf(this.node.inputs[input] ?? ''));
  }

  rank(input: number): number {
    return this.dims(input)?.length ?? this.refuse(`the rank of '${this.node.inputs[input]}' is not known`);
  }

  out(output = 0): Sizes {
    return (
      sizesOf(this.infoOf(this.node.outputs[output] ?? '')) ??
      this.refuse(`the rank of '${this.node.outputs[output]}' is not known`)
    );
  }

  /** The elements of an input of sizes, as far as they are numbers; null if none is known. */
  value(input: number): Sizes | null {
    const info = this.infoOf(this.node.inputs[input] ?? '');
    if (!isTensor(info) || info.value === undefined) return null;
    return info.value.map((scalar) => (typeof scalar === 'number' ? scalar : null));
  }

  /** The elements of an input that must be known. */
  numbers(input: number): readonly number[] {
    const value = this.value(input);
    return value?.every((element) => element !== null)
      ? value
      : this.refuse(`'${this.node.inputs[input]}' is not a constant`);
  }

  /** The one entry that an input repeats: itself, or what an Expand made it of; null if it is neither. */
  oneEntry(input: number, axis: number): string | null {
    const name = this.node.inputs[input];
    const made = this.producerOf(name);
    const of = made?.opType === 'Expand' && made.domain === '' ? made.inputs[0] : name;
    const [dims, sizes] = [this.dims(input), sizesOf(this.infoOf(of))];
    if (dims === null || sizes?.length !== dims.length || sizes[axis] !== 1) return null;
    return dims[axis] === this.batch ? of : null;
  }

  attribute(name: string): Attribute | undefined {
    return this.node.attributes.find((attribute) => attribute.name === name);
  }

  int(name: string, standard: number): number {
    return Number(this.attribute(name)?.i ?? standard);
  }

  ints(name: string): readonly number[] | undefined {
    return this.attribute(name)?.ints.map(Number);
  }

  /** An axis counted from the front. */
  axis(axis: number, rank: number): number {
    return axis < 0 ? axis + rank : axis;
  }

  /** @throws Refusal unless the inputs do not depend on the batch */
  fixed(...inputs: readonly number[]): void {
    for (const input of inputs)
      if (this.entries(input) !== null) this.refuse(`its input '${this.node.inputs[input]}' is another for each entry`);
  }

  refuse(why: string): never {
    throw new Refusal(this.said(why));
  }

  /** Refuses a node that mixes entries with each other. */
  mixes(why: string): never {
    throw new MixesEntries(this.said(why));
  }

  private said(why: string): string {
    const { name } = this.node;
    return `${nodeLabel(this.node)}${name === '' ? '' : ` '${name}'`}: ${why}`;
  }
}

function sizesOf(info: Info | undefined): Sizes | null {
  if (!isTensor(info) || info.shape === null) return null;
  return info.shape.map((dim) => (typeof dim === 'number' ? dim : null));
}
