import { ancestorsOf, isInitializer, type GraphView } from '../onnx/graph.js';
import type { Dim } from '../onnx/records.js';
import { Algebra } from './algebra.js';
import type { Constants } from './constants.js';
import { followsValues, type ByValue } from './follows-values.js';
import { Declarations } from './declared.js';
import { Formula, type Atom, type Size } from './formula.js';
import { inferGraph, unnamedDim, type Inference } from './infer.js';
import { isTensor, numbersOf, type Shape } from './info.js';
import { inferWhole } from './whole.js';

/**
 * How the entries of a batch lie in a tensor: along an axis, each with the same number of parts; all of the tensor is
 * one entry; along axis 0, each with a number of its own; not at all, so that it is the same in every batch; or that is
 * to be found out by running.
 */
export type Entries =
  | { readonly kind: 'along'; readonly axis: number }
  | { readonly kind: 'stacked' }
  | { readonly kind: 'ragged' }
  | { readonly kind: 'once' }
  | { readonly kind: 'open' }
  | {
      readonly kind: 'unknown';
      readonly why: string;
      /** Whether the tensor that one batch of all entries makes is right all the same. */
      readonly isWholeKnown: boolean;
      /** How entries lie in what batches of one entry make. */
      readonly one: Entries | null;
    };

/** A tensor that a batch makes. */
export interface BatchOutput {
  readonly name: string;
  /** The tensors of the graph that it is made of. */
  readonly tensors: readonly string[];
  /** Its shape, as far as it is proved. */
  readonly shape: readonly Dim[] | null;
  /** Whether it is another value than the tensor: in another layout, or several in one. */
  readonly converted: boolean;
}

/** What a batch is made of. */
export interface BatchInputs {
  /** Inputs that have values of their own for each entry. */
  readonly batched: readonly string[];
  /** Whether their axis 0 counts entries; otherwise a batch is one entry. */
  readonly hasBatchAxis: boolean;
  /** The size of a batch, if the model fixes it. */
  readonly fixed: number | null;
  /** Whether entries may have sizes of their own. */
  readonly varied: boolean;
}

/**
 * How entries lie in what a model makes of a batch, by what is proved of shapes: the symbol of the batch in them, else
 * what they become at two batch sizes. Numbers that happen to be equal say nothing.
 */
export async function entriesIn(
  view: GraphView,
  outputs: readonly BatchOutput[],
  inputs: BatchInputs,
): Promise<ReadonlyMap<string, Entries>> {
  const knowledge = new Knowledge(view, inputs);
  const found = new Map<string, Entries>();
  for (const output of outputs) found.set(output.name, await knowledge.entriesOf(output));
  return found;
}

class Knowledge {
  private readonly algebra = new Algebra();
  private readonly declarations = new Declarations(this.algebra);
  /** Symbols that count entries, and all symbols of inputs, by their names. */
  private readonly batch: ReadonlySet<string>;
  private readonly known: ReadonlySet<string>;
  private byValue: ByValue | null = null;
  private proven: Promise<Inference> | null = null;
  private grown: Promise<readonly [Inference, Inference]> | null = null;

  constructor(
    private readonly view: GraphView,
    private readonly inputs: BatchInputs,
  ) {
    const leaves = (name: string, axes: (axis: number) => boolean): readonly string[] => {
      const type = view.inputs.get(name)?.type;
      const shape = type?.kind === 'tensor' ? type.shape : null;
      return (shape ?? []).flatMap((dim, axis) => (axes(axis) ? this.namesIn(dim, unnamedDim(name, axis)) : []));
    };
    this.batch = new Set(
      inputs.hasBatchAxis ? inputs.batched.flatMap((name) => leaves(name, (axis) => axis === 0)) : [],
    );
    this.known = new Set([...view.inputs.keys()].flatMap((name) => leaves(name, () => true)));
  }

  private namesIn(dim: Dim, unnamed: string): readonly string[] {
    const size = this.declarations.sizeOf(dim);
    if (!(size instanceof Formula)) return [];
    return size.isKnown ? [...size.leaves].map(({ name }) => name) : [unnamed];
  }

  async entriesOf(output: BatchOutput): Promise<Entries> {
    const { batched, hasBatchAxis, fixed } = this.inputs;
    const reads = new Set([...ancestorsOf(this.view, output.tensors)].flatMap(({ inputs }) => inputs));
    if (!batched.some((name) => reads.has(name) || output.tensors.includes(name))) return { kind: 'once' };
    const shape = await this.shapeOf(output);
    if (!hasBatchAxis) return this.ofOneEntry(output, shape);
    if (fixed === 1) return (await this.grownAxis(output)) ?? this.ofOneEntry(output, shape);
    if (fixed !== null) return this.isCounted(output, shape) ? countedTogether(fixed) : { kind: 'open' };
    return this.bySymbol(output, shape);
  }

  /** Every dim as a formula, unnamed dims of inputs among its symbols. */
  private async shapeOf({ tensors, shape, converted }: BatchOutput): Promise<Shape | null> {
    if (shape?.every((dim) => dim !== null)) return shape.map((dim) => this.declarations.sizeOf(dim));
    if (converted || tensors.length > 1) return shape?.map((dim) => this.declarations.sizeOf(dim)) ?? null;
    this.proven ??= inferWhole(this.view).then(({ proven }) => proven);
    const info = (await this.proven).infos.get(tensors[0]);
    const inferred = isTensor(info) ? info.shape : null;
    return inferred ?? shape?.map((dim) => this.declarations.sizeOf(dim)) ?? null;
  }

  /** What a run of one entry makes is all its own. */
  private ofOneEntry(output: BatchOutput, shape: Shape | null): Entries {
    if (shape?.length === 0) return { kind: 'stacked' };
    if (this.isCounted(output, shape)) return { kind: 'ragged' };
    const first = shape?.[0];
    if (!this.inputs.hasBatchAxis) return first === 1 ? { kind: 'along', axis: 0 } : { kind: 'stacked' };
    if (typeof first !== 'number' && this.inputs.varied) return { kind: 'ragged' };
    return { kind: 'along', axis: 0 };
  }

  /** Whether the size of axis 0 may follow from values. */
  private isCounted({ tensors }: BatchOutput, shape: Shape | null): boolean {
    const first = shape?.[0];
    if (typeof first === 'number') return false;
    if (first !== undefined && this.isForeign(first)) return true;
    if (first !== undefined && isSpokenFor(first, this.known)) return false;
    return this.follows('sized', tensors);
  }

  private follows(what: keyof ByValue, tensors: readonly string[]): boolean {
    this.byValue ??= followsValues(this.view);
    const { [what]: following } = this.byValue;
    return tensors.some((name) => following.has(name));
  }

  /** Whether a size has a symbol that no input has. */
  private isForeign(size: Size): boolean {
    return (
      size instanceof Formula && [...size.leaves].some(({ kind, name }) => kind === 'symbol' && !this.known.has(name))
    );
  }

  private bySymbol(output: BatchOutput, shape: Shape | null): Entries {
    if (shape === null) return this.isCounted(output, shape) ? { kind: 'ragged' } : { kind: 'open' };
    const growing = shape.flatMap((size, axis) => (this.grows(size) ? [axis] : []));
    const isProved = shape.every((size) => isSpokenFor(size, this.known) || this.isForeign(size));
    if (growing.length === 1) {
      const [axis] = growing;
      if (!isMultiple(shape[axis], this.batch))
        return this.unknown('it does not grow in proportion to their number', output, shape);
      // What nobody knows might grow as well.
      return isProved || this.follows('sized', output.tensors) ? { kind: 'along', axis } : { kind: 'open' };
    }
    if (growing.length > 1)
      return this.unknown(`axes ${growing.join(' and ')} both grow with their number`, output, shape);
    if (this.isCounted(output, shape)) return { kind: 'ragged' };
    if (!isProved) return { kind: 'open' };
    if (!this.follows('valued', output.tensors)) return { kind: 'once' };
    return this.unknown('it does not grow with their number', output, shape);
  }

  private unknown(why: string, output: BatchOutput, shape: Shape): Entries {
    return { kind: 'unknown', why, isWholeKnown: true, one: this.ofOneEntry(output, shape) };
  }

  private grows(size: Size): boolean {
    return size instanceof Formula && [...size.leaves].some(({ name }) => this.batch.has(name));
  }

  /** The axis that has one part for each of one and of two entries, if there is one and no other. */
  private async grownAxis({ tensors, converted }: BatchOutput): Promise<Entries | null> {
    if (converted || tensors.length > 1) return null;
    this.grown ??= this.atTwoSizes();
    const [one, two] = (await this.grown).map(({ infos }) => {
      const info = infos.get(tensors[0]);
      return isTensor(info) ? info.shape : null;
    });
    if (one === null || two === null || one.length !== two.length) return null;
    const axes = one.flatMap((size, axis) => (size === 1 && two[axis] === 2 ? [axis] : []));
    return axes.length === 1 ? { kind: 'along', axis: axes[0] } : null;
  }

  private async atTwoSizes(): Promise<readonly [Inference, Inference]> {
    const { view } = this;
    const { inputs, constants } = await inferWhole(view);
    const at = (batch: number, known: Constants): Inference => {
      const shapes = new Map<string, readonly number[]>();
      for (const [name, { type }] of view.inputs) {
        if (isInitializer(view, name) || type?.kind !== 'tensor') continue;
        const shape = inputs.shapes.get(name) ?? numbersOf(type.shape as Shape | null);
        if (shape == null) continue;
        shapes.set(name, this.inputs.batched.includes(name) ? [batch, ...shape.slice(1)] : shape);
      }
      return inferGraph(view, known, { inputShapes: shapes, fixDefaults: true });
    };
    return [at(1, constants), at(2, constants)];
  }
}

function countedTogether(fixed: number): Entries {
  const why = `the model takes ${fixed} at once, and nothing says whose its rows are`;
  return { kind: 'unknown', why, isWholeKnown: false, one: null };
}

/** Whether every symbol of a size is one of these. */
function isSpokenFor(size: Size, names: ReadonlySet<string>): boolean {
  return !(size instanceof Formula) || [...size.leaves].every(({ name }) => names.has(name));
}

/** Whether a size is a multiple of one of some symbols, with a factor that has none of them. */
function isMultiple(size: Size, names: ReadonlySet<string>): boolean {
  if (!(size instanceof Formula)) return false;
  const has = ({ leaves }: Atom): boolean => [...leaves].some(({ name }) => names.has(name));
  return size.terms.every(({ atoms }) => {
    const growing = atoms.filter(has);
    return growing.length === 1 && growing[0].operands === null;
  });
}
