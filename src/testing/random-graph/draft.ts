import type * as ort from 'onnxruntime-node';
import { encodeModel } from '../model-builder.js';
import {
  node,
  tensor,
  value,
  type AttributeSpec,
  type DataType,
  type FunctionSpec,
  type ModelSpec,
  type NodeSpec,
  type TensorSpec,
  type ValueSpec,
} from '../model-spec.js';
import type { Dice } from './dice.js';
import type { Names } from './names.js';
import { EXOTIC, Refused, runModel, type RunValue } from './oracle.js';
import { feedOf, halfOf, INPUT_TYPES, valuesFor } from './values.js';

/** A graph under construction. ONNX Runtime runs it after each step, and steps that it refuses are taken back. */

/** A value that nodes can read, and what a run showed of it. */
export interface Known {
  readonly name: string;
  /** Null if it is not a tensor. */
  readonly dtype: DataType | null;
  readonly dims: readonly number[];
}

/** What a model is, whichever graph of it is drafted. */
export class ModelDraft {
  readonly inputs: ValueSpec[] = [];
  readonly inputDims = new Map<string, readonly number[]>();
  readonly functions: FunctionSpec[] = [];
  /** What the inputs of a function were when it was drafted, and the attributes that its calls give. */
  readonly signatures = new Map<FunctionSpec, readonly Known[]>();
  readonly calls = new Map<FunctionSpec, Record<string, AttributeSpec>>();
  readonly feeds = Object.create(null) as Record<string, ort.Tensor>;
  seed = 1;

  constructor(
    readonly dice: Dice,
    readonly opset: number,
    readonly irVersion: number,
    readonly names: Names,
    /** Inputs are of the main graph wherever they are read first: no body may use their names again. */
    readonly inputNames: Names,
    /** What layers calculate with here. */
    readonly real: DataType = 'float32',
  ) {}

  spec(nodes: readonly NodeSpec[], initializers: readonly TensorSpec[], outputs: readonly string[]): ModelSpec {
    return {
      irVersion: this.irVersion,
      opset: [
        ['', this.opset],
        ['com.microsoft', 1],
        ['ai.onnx.ml', 3],
        [DOMAIN, 1],
      ],
      functions: this.functions,
      graph: {
        nodes,
        initializers,
        inputs: this.inputs,
        outputs: outputs.map((name) => value(name, null, null)),
      },
    };
  }
}

/** Attributes of a node; what is undefined is left out. */
export type Attributes = Readonly<Record<string, AttributeSpec | undefined>>;

function defined(attributes: Attributes): Record<string, AttributeSpec> {
  return Object.fromEntries(
    Object.entries(attributes).filter((entry): entry is [string, AttributeSpec] => entry[1] !== undefined),
  );
}

/** The domain of functions. */
export const DOMAIN = 'featx.random';

/** dtypes by kind. */
export const FLOATS: readonly DataType[] = ['float32', 'float64', 'float16'];

type Lists = { readonly nodes: NodeSpec[]; readonly initializers: TensorSpec[]; readonly inputs: ValueSpec[] };

/** A main graph, a body or the nodes of a function. */
export class Draft {
  readonly nodes: NodeSpec[] = [];
  readonly initializers: TensorSpec[] = [];
  /** What this graph made itself. */
  readonly own: Known[] = [];
  private pending: Lists = { nodes: [], initializers: [], inputs: [] };

  constructor(
    readonly model: ModelDraft,
    readonly depth: number,
    /** Nodes and weights that a run needs before those of this graph. */
    private readonly before: { readonly nodes: readonly NodeSpec[]; readonly initializers: readonly TensorSpec[] },
    /** What can be read here beside what is made here. */
    private readonly outer: readonly Known[],
    /** `inner` is a body in a function. */
    readonly kind: 'main' | 'body' | 'function' | 'inner',
  ) {}

  /** Whether nothing of the main graph can be read here, and there are no initializers. */
  get isShut(): boolean {
    return this.kind === 'function' || this.kind === 'inner';
  }

  get dice(): Dice {
    return this.model.dice;
  }

  get opset(): number {
    return this.model.opset;
  }

  get values(): readonly Known[] {
    return [...this.outer, ...this.own];
  }

  /** All that a run of what is drafted here needs. */
  get whole(): { readonly nodes: readonly NodeSpec[]; readonly initializers: readonly TensorSpec[] } {
    return {
      nodes: [...this.before.nodes, ...this.nodes],
      initializers: [...this.before.initializers, ...this.initializers],
    };
  }

  /** A value that can be read here. @throws Refused if there is none like that */
  pick(test: (known: Known) => boolean = isTensor): Known {
    const found = this.values.filter(test);
    if (found.length === 0) throw new Refused('nothing like that');
    // What was made last is read most, so that graphs grow deep.
    return this.dice.chance(0.5) ? found[found.length - 1] : this.dice.pick(found);
  }

  /** A tensor of a dtype and shape: one that is there, or a new one. */
  shaped(dims: readonly number[], dtype: DataType = this.model.real): string {
    const alike = this.values.filter(
      (known) => known.dtype === dtype && known.dims.join() === dims.join() && isTensor(known),
    );
    if (alike.length > 0 && this.dice.chance(0.7)) return this.dice.pick(alike).name;
    const count = dims.reduce((product, dim) => product * dim, 1);
    if (count > 4096) throw new Refused('too big');
    const source = this.values.find((known) => known.dtype === dtype && isTensor(known));
    if (source !== undefined && this.dice.chance(0.3)) {
      const [flat] = this.add('Reshape', [source.name, this.sizes([-1])]);
      const [one] = this.add('Gather', [flat, this.constant(tensor('', [], [0], 'int64'))]);
      return this.add('Expand', [one, this.sizes(dims)])[0];
    }
    if (this.isShut || this.dice.chance(0.5) || EXOTIC.includes(dtype)) return this.weight(dims, dtype);
    return this.input(dims, dtype);
  }

  /** A new input of the main graph. */
  input(dims: readonly number[], dtype: DataType): string {
    if (!(INPUT_TYPES as readonly DataType[]).includes(dtype)) throw new Refused(`no input of ${dtype}`);
    const name = this.model.inputNames.fresh();
    this.pending.inputs.push(value(name, dims, dtype));
    this.model.feeds[name] = feedOf(dtype, dims, this.model.seed++);
    this.model.inputDims.set(name, dims);
    return name;
  }

  weight(dims: readonly number[], dtype: DataType): string {
    const count = dims.reduce((product, dim) => product * dim, 1);
    return this.constant({ dims, type: dtype, data: valuesFor(dtype, count, this.model.seed++) });
  }

  /** A constant in one of the forms that files have. */
  constant(spec: TensorSpec): string {
    const name = this.model.names.fresh();
    const { dice } = this;
    if (spec.type !== undefined && EXOTIC.includes(spec.type)) throw new Refused(`no constant of ${spec.type}`);
    const given: TensorSpec = { ...spec, name, ...storedAs(spec) };
    if (this.isShut || dice.chance(0.3)) {
      this.pending.nodes.push(node('Constant', [], [name], constantAttribute(given, this)));
      return name;
    }
    this.pending.initializers.push(given);
    // A default that a caller may replace.
    if (this.kind === 'main' && dice.chance(0.1))
      this.pending.inputs.push(value(name, spec.dims.map(Number), spec.type ?? 'float32'));
    return name;
  }

  /** A list of sizes: a constant, or calculated from dims of tensors that have them. */
  sizes(numbers: readonly number[], odds = 0.4): string {
    const { dice } = this;
    const list = (values: readonly number[]): string => this.constant(tensor('', [values.length], values, 'int64'));
    if (numbers.length === 0 || !dice.chance(odds)) return list(numbers);
    const parts = numbers.map((number): string => {
      const source = this.values.find((known) => isTensor(known) && known.dims.includes(number));
      const other = this.values.find((known) => isTensor(known) && known.dims.length > 0);
      if (source !== undefined && dice.chance(0.7)) return this.dimOf(source, source.dims.indexOf(number));
      if (other === undefined || number < 0) return list([number]);
      const axis = dice.int(0, other.dims.length - 1);
      const dim = this.dimOf(other, axis);
      const size = other.dims[axis];
      if (dice.chance(0.5)) return this.add('Add', [dim, list([number - size])])[0];
      const [scaled] = this.add('Mul', [dim, list([number])]);
      return size > 0 ? this.add('Div', [scaled, list([size])])[0] : list([number]);
    });
    const [whole] = parts.length === 1 ? parts : this.add('Concat', parts, 1, { axis: { int: 0 } });
    if (dice.chance(0.1)) return this.castTwice(whole);
    return whole;
  }

  private castTwice(name: string): string {
    const [narrow] = this.add('Cast', [name], 1, { to: { int: this.dice.pick([1, 6, 11]) } });
    return this.add('Cast', [narrow], 1, { to: { int: 7 } })[0];
  }

  /** One dim of a tensor as a list of one number. */
  private dimOf({ name, dims }: Known, axis: number): string {
    const at = this.dice.chance(0.5) ? axis : axis - dims.length;
    const [shape] = this.add('Shape', [name]);
    if (this.dice.chance(0.7))
      return this.add('Gather', [shape, this.constant(tensor('', [1], [at], 'int64'))], 1, { axis: { int: 0 } })[0];
    const from = axis;
    if (this.opset < 10)
      return this.add('Slice', [shape], 1, { starts: { ints: [from] }, ends: { ints: [from + 1] } })[0];
    const [start, end] = [from, from + 1].map((number) => this.constant(tensor('', [1], [number], 'int64')));
    return this.add('Slice', [shape, start, end])[0];
  }

  /** A node in waiting; returns the names of its outputs. */
  add(
    op: string,
    inputs: readonly string[],
    outputs = 1,
    attributes: Attributes = {},
    more: Partial<NodeSpec> = {},
  ): string[] {
    const names = Array.from({ length: outputs }, () => this.model.names.fresh());
    // The last outputs that an operator need not make are sometimes named and sometimes not.
    const called = this.dice.chance(0.3) ? { name: `${op}.${this.model.names.next}` } : {};
    this.pending.nodes.push(node(op, inputs, names, defined(attributes), { ...called, ...more }));
    return names;
  }

  get isWaiting(): boolean {
    return this.pending.nodes.length > 0;
  }

  /** Runs what waits. What it makes can then be read; nothing has changed if ONNX Runtime refuses it. */
  commit(): boolean {
    const { nodes, initializers, inputs } = this.pending;
    if (nodes.length + initializers.length + inputs.length === 0) return true;
    const names = nodes.flatMap(({ outputs = [] }) => outputs.map(String)).filter((name) => name !== '');
    const { model } = this;
    const kept = model.inputs.length;
    model.inputs.push(...inputs);
    this.pending = { nodes: [], initializers: [], inputs: [] };
    try {
      const made = this.outcome(nodes, initializers, names);
      this.nodes.push(...nodes);
      this.initializers.push(...initializers);
      this.own.push(...names.map((name) => knownOf(name, made.get(name))));
      const fed = inputs.filter(({ name }) => model.inputDims.has(String(name)));
      this.own.push(...fed.map((spec) => inputOf(spec, model)));
      return true;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      model.inputs.length = kept;
      for (const { name } of inputs) delete model.feeds[String(name)];
      return false;
    }
  }

  private outcome(
    nodes: readonly NodeSpec[],
    initializers: readonly TensorSpec[],
    names: readonly string[],
  ): ReadonlyMap<string, RunValue> {
    const { whole, model } = this;
    const spec = model.spec([...whole.nodes, ...nodes], [...whole.initializers, ...initializers], names);
    return runModel(encodeModel(spec), model.feeds);
  }

  /** Forgets what waits. */
  drop(): void {
    for (const { name } of this.pending.inputs) delete this.model.feeds[String(name)];
    this.pending = { nodes: [], initializers: [], inputs: [] };
  }
}

/** Whether a value is a tensor of a size that is worth reading. */
export function isTensor({ dtype, dims }: Known): boolean {
  return dtype !== null && dims.reduce((product, dim) => product * dim, 1) <= 4096;
}

function knownOf(name: string, found: RunValue | undefined): Known {
  if (found === undefined || found === 'not a tensor') return { name, dtype: null, dims: [] };
  return { name, dtype: found.dtype, dims: [...found.dims] };
}

function inputOf({ name, type }: ValueSpec, { inputDims }: ModelDraft): Known {
  const dtype = type !== undefined && 'tensor' in type ? type.tensor : null;
  return { name: String(name), dtype, dims: inputDims.get(String(name)) ?? [] };
}

/** What the builder cannot write as numbers. */
function storedAs({ type, data }: TensorSpec): Partial<TensorSpec> {
  if (type === 'string') return { typed: true };
  if (type !== 'float16') return {};
  const bits = Uint16Array.from(data as readonly number[], (number) => halfOf(number));
  return { data: new Uint8Array(bits.buffer) };
}

function constantAttribute(spec: TensorSpec, { dice, opset }: Draft): Record<string, AttributeSpec> {
  const numbers = spec.data as readonly number[];
  if (opset >= 12 && dice.chance(0.5)) {
    const isList = spec.dims.length === 1;
    if (spec.type === 'int64' && isList) return { value_ints: { ints: numbers } };
    if (spec.type === 'int64' && spec.dims.length === 0) return { value_int: { int: numbers[0] } };
    if ((spec.type ?? 'float32') === 'float32' && isList) return { value_floats: { floats: numbers } };
  }
  return { value: { tensor: { ...spec, name: '' } } };
}
