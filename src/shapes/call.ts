import type { Attribute, Graph, Node, Tensor } from '../onnx/records.js';
import type { Algebra } from './algebra.js';
import type { Size } from './formula.js';
import { isTensor, withoutValue, type Info, type Scalar, type Shape, type TensorInfo } from './info.js';

/** What makes a node impossible, as far as is known: its outputs stay unknown. */
export class RuleFault extends Error {}

/** Lists of attributes are read up to here; a list of this length may have been longer. @see onnx/rules/graphs.ts */
const LONGEST_LIST = 1_024;

/** The elements of a tensor that has none. */
const NOTHING: readonly Scalar[] = [];

/** Bodies of a node, inferred with what their inputs are. */
export type BodyRunner = (body: Graph, inputs: readonly (Info | null)[]) => BodyResult;

/** What a body makes of its inputs. */
export interface BodyResult {
  readonly outputs: readonly (Info | null)[];
  /** Whether a node of the body is impossible for these inputs. */
  readonly isFaulty: boolean;
}

/** One node for a rule: its operator's version, its inputs, its attributes. */
export class Call {
  constructor(
    readonly node: Node,
    /** Version of the operator set that the node's domain is imported in. */
    readonly opset: number,
    readonly inputs: readonly (Info | null)[],
    private readonly attributes: ReadonlyMap<string, Attribute>,
    readonly algebra: Algebra,
    readonly runBody: BodyRunner,
    /** Type and, if it is small, values of a tensor of the file. */
    readonly constant: (tensor: Tensor) => TensorInfo,
  ) {}

  /** The same node with other inputs. */
  withInputs(inputs: readonly (Info | null)[]): Call {
    return new Call(this.node, this.opset, inputs, this.attributes, this.algebra, this.runBody, this.constant);
  }

  /** Whether an input is given, known or not. */
  has(index: number): boolean {
    return (this.node.inputs[index] ?? '') !== '';
  }

  info(index: number): Info | null {
    return this.inputs[index] ?? null;
  }

  /** A tensor; without its elements when there is nothing left to calculate with them. */
  tensor(index: number): TensorInfo | null {
    const info = this.info(index);
    if (!isTensor(info)) return null;
    return info.value !== undefined && this.algebra.budget.isSpent ? withoutValue(info) : info;
  }

  shape(index: number): Shape | null {
    return this.tensor(index)?.shape ?? null;
  }

  rank(index: number): number | null {
    return this.shape(index)?.length ?? null;
  }

  elem(index: number): number {
    return this.tensor(index)?.elemType ?? 0;
  }

  value(index: number): readonly Scalar[] | null {
    const info = this.info(index);
    if (!isTensor(info)) return null;
    return info.value ?? (info.shape?.includes(0) === true ? NOTHING : null);
  }

  attribute(name: string): Attribute | undefined {
    return this.attributes.get(name);
  }

  int(name: string): number | undefined;
  int(name: string, standard: number): number;
  int(name: string, standard?: number): number | undefined {
    const value = this.attributes.get(name)?.i;
    return value == null ? standard : Number(value);
  }

  float(name: string, standard: number): number {
    return this.attributes.get(name)?.f ?? standard;
  }

  text(name: string, standard: string): string {
    return this.attributes.get(name)?.s ?? standard;
  }

  /** A list of integers; undefined if it is absent. @throws RuleFault for a list that was not read whole */
  ints(name: string): readonly number[] | undefined {
    const values = this.attributes.get(name)?.ints;
    if (values !== undefined && values.length >= LONGEST_LIST) throw new RuleFault(`${name} is too long`);
    return values?.map(Number);
  }

  floats(name: string): readonly number[] | undefined {
    const values = this.attributes.get(name)?.floats;
    if (values !== undefined && values.length >= LONGEST_LIST) throw new RuleFault(`${name} is too long`);
    return values;
  }

  unknown(): Size {
    return this.algebra.unknown();
  }

  /** As many unknown dims. */
  unknowns(rank: number): Shape {
    return Array.from({ length: rank }, () => this.unknown());
  }

  /** An axis counted from the front. @throws RuleFault if it is outside the rank */
  axis(axis: number, rank: number): number {
    const counted = axis < 0 ? axis + rank : axis;
    if (!Number.isInteger(counted) || counted < 0 || counted >= rank) throw new RuleFault(`axis ${axis} of ${rank}`);
    return counted;
  }

  /** The numbers of a small integer input. */
  numbers(index: number): readonly number[] | null {
    const value = this.value(index);
    return value !== null && value.every((scalar): scalar is number => typeof scalar === 'number') ? value : null;
  }
}

/** What the outputs of a node are, in their order. @throws RuleFault */
export type Rule = (call: Call) => readonly (Info | null)[];
