import { UnsupportedModelError, UsageError } from '../errors.js';
import { isInitializer, type GraphView } from '../onnx/graph.js';
import type { NewInput, NewNode } from '../onnx/encode.js';
import type { Dim, ValueType } from '../onnx/records.js';
import { dataTypeOf, tensorType, type TensorType, type TensorTypes } from '../onnx/types.js';
import { option } from '../options/words.js';
import type { Renaming } from './edit.js';
import type { NamePool } from './names.js';
import { NodeBuilder } from './nodes.js';
import { canAlias, type Declarations } from './outputs.js';
import { pictureInput, pixelNodes, pixelsRecord, type PixelsRecord } from './pixels.js';
import type { FoldedShape, FoldedSize, Span } from './span.js';
import type { Beginning, PlanOptions } from './tap.js';

/** A tensor that a cut begins with, as an input of the result. */
export interface PlannedBeginning extends Beginning {
  /** What the input is called. */
  readonly input: string;
  readonly dtype: string | null;
  readonly shape: readonly Dim[] | null;
  /** What it is in the model. */
  readonly source: 'node' | 'input' | 'initializer';
}

/** How the inputs of a cut differ from those of its model. */
export interface PlannedInputs {
  readonly from: readonly PlannedBeginning[];
  /** Names of the inputs of the cut that are not tensors of their own names in the model. */
  readonly renamed: readonly { readonly input: string; readonly tensor: string }[];
  /** Indices of inputs that go, those that nothing needs aside. */
  readonly dropInputs: readonly number[];
  /** Initializers that become inputs. */
  readonly replaced: ReadonlySet<string>;
  readonly addInputs: readonly NewInput[];
  readonly frontNodes: readonly NewNode[];
  readonly rename: readonly Renaming[];
  /** What pixels go through in front of one of them. */
  readonly pixels: PixelsRecord | null;
  readonly warnings: readonly string[];
}

/** What the inputs of a cut are planned from. */
export interface PlanningInputs {
  readonly view: GraphView;
  readonly types: TensorTypes;
  readonly declared: Declarations;
  readonly span: Span;
  readonly names: NamePool;
  readonly opset: number;
}

/**
 * The inputs of a cut: those of the model that it needs, then what it begins with. A tensor keeps its name inside, as
 * bodies refer to it; an input of another name leads to it through an Identity.
 * @throws UsageError for names that do not fit; UnsupportedModelError `FEATX_FROM_TYPE` if nothing says a type
 */
export function planInputs(planning: PlanningInputs, { from, inMap, pixels }: PlanOptions): PlannedInputs {
  const { view, types, declared, span, names, opset } = planning;
  const builder = new NodeBuilder(opset, (base) => names.fresh(base));
  const warnings: string[] = [];
  const newNames = newNamesOf(planning, from, inMap);
  const begun = from.map((beginning): PlannedBeginning => {
    const { tensor } = beginning;
    const source = sourceOf(view, tensor);
    const type = source === 'input' ? (view.inputs.get(tensor)?.type ?? null) : typeOf(types, declared, beginning);
    const { dtype, shape } = type === null ? { dtype: null, shape: null } : tensorType(type);
    const isTaken = source !== 'input' && names.isGivenAway(tensor) && !newNames.has(tensor);
    const input = newNames.get(tensor) ?? (isTaken ? names.fresh(`${tensor}_input`) : tensor);
    if (isTaken)
      warnings.push(`'${tensor}' is an output of the model too; the input that takes its place is named '${input}'`);
    if (source !== 'input' && type?.kind === 'tensor' && shape === null)
      warnings.push(`the shape of the input '${input}' is not known; it is left open`);
    return { ...beginning, input, dtype, shape, source };
  });
  const addInputs: NewInput[] = [];
  const dropInputs: number[] = [];
  const renamed: PlannedInputs['renamed'][number][] = [];
  const lead = (tensor: string, input: string, type: ValueType | null, replaces?: number): void => {
    if (input !== tensor) {
      assertRenamable(planning, tensor, type);
      builder.op('Identity', [input], [], tensor);
      renamed.push({ input, tensor });
    }
    addInputs.push({ name: input, type, ...(replaces === undefined ? {} : { replaces }) });
  };
  const original = new Map(view.model.graph.inputs.map(({ name }, index) => [name, index] as const));
  let pixelsOfInput: PixelsRecord | null = null;
  const picture = pixels === null ? null : pictureInput(typedInputs(view, span));
  for (const name of span.inputs) {
    const input = newNames.get(name);
    const index = original.get(name);
    if (name === picture?.name && pixels !== null && index !== undefined) {
      const given = input ?? names.fresh('pixels');
      dropInputs.push(index);
      addInputs.push({ ...pixelNodes(builder, pixels, picture, given), replaces: index });
      pixelsOfInput = pixelsRecord(pixels, given, name);
      continue;
    }
    if (input === undefined || input === name || index === undefined || isInitializer(view, name)) continue;
    dropInputs.push(index);
    lead(name, input, view.inputs.get(name)?.type ?? null, index);
  }
  for (const beginning of begun) {
    const { tensor, input, source } = beginning;
    if (source === 'input') continue;
    const index = original.get(tensor);
    if (index !== undefined) dropInputs.push(index);
    lead(tensor, input, typeOf(types, declared, beginning));
  }
  for (const shape of span.folded) standIn(builder, shape);
  return {
    from: begun,
    renamed,
    dropInputs,
    replaced: new Set(begun.filter(({ source }) => source === 'initializer').map(({ tensor }) => tensor)),
    addInputs,
    frontNodes: builder.nodes,
    rename: twinNames(planning, begun),
    pixels: pixelsOfInput,
    warnings,
  };
}

/** The inputs that a caller gives, with what the file says of them. */
function typedInputs(view: GraphView, { inputs }: Span): readonly { name: string; type: ValueType | null }[] {
  return [...inputs]
    .filter((name) => !isInitializer(view, name))
    .map((name) => ({ name, type: view.inputs.get(name)?.type ?? null }));
}

function sourceOf(view: GraphView, tensor: string): PlannedBeginning['source'] {
  if (view.producerOf.has(tensor)) return 'node';
  return isInitializer(view, tensor) ? 'initializer' : 'input';
}

/** @throws UnsupportedModelError */
function typeOf(types: TensorTypes, declared: Declarations, { name, tensor }: Beginning): ValueType {
  const known = types.get(tensor);
  const type = known?.whole ?? wholeType(known) ?? declared.get(tensor)?.type;
  if (type !== undefined) return type;
  throw new UnsupportedModelError(
    `the cut cannot begin at '${name}': nothing says the type of '${tensor}', and an input must have one`,
    {
      code: 'FEATX_FROM_TYPE',
      hint: 'begin at another tensor, in front of the operator that featx does not know or behind it',
    },
  );
}

function wholeType(known: TensorType | undefined): ValueType | undefined {
  const elemType = dataTypeOf(known?.dtype ?? '');
  if (known === undefined || elemType === 0 || (known.type !== undefined && known.type !== 'sparse_tensor'))
    return undefined;
  return { kind: known.type ?? 'tensor', elemType, shape: known.shape };
}

/**
 * The output of a node that is kept for another of its outputs gets a name that nobody reads: the runtime crashes where
 * such an output has none.
 */
function twinNames({ view, span, names }: PlanningInputs, begun: readonly PlannedBeginning[]): readonly Renaming[] {
  return begun.flatMap(({ tensor }) => {
    const made = view.producerOf.get(tensor);
    if (made === undefined || !span.kept.nodes.has(made.node)) return [];
    return [{ node: made.node.index, list: 'output', at: made.output, name: names.fresh(`${tensor}_unused`) } as const];
  });
}

/** Nodes that make what a `Shape` in front of the cut made. */
function standIn(builder: NodeBuilder, { node, sizes }: FoldedShape): void {
  const [output] = node.outputs;
  if (sizes.every((size) => typeof size === 'number')) {
    const tensor = { name: '', dims: [sizes.length], int64: sizes };
    builder.op('Constant', [], [{ name: 'value', tensor }], output);
    return;
  }
  const parts = runsOf(sizes).map((run) =>
    typeof run[0] === 'number'
      ? builder.ints(run as readonly number[])
      : builder.op(
          'Gather',
          [
            builder.op('Shape', [run[0].tensor]),
            builder.ints(run.map((size) => (typeof size === 'number' ? size : size.axis))),
          ],
          [{ name: 'axis', int: 0 }],
        ),
  );
  builder.op('Concat', parts, [{ name: 'axis', int: 0 }], output);
}

/** Sizes that come from one place, side by side. */
function runsOf(sizes: readonly FoldedSize[]): readonly (readonly FoldedSize[])[] {
  const runs: FoldedSize[][] = [];
  const placeOf = (size: FoldedSize): string | null => (typeof size === 'number' ? null : size.tensor);
  for (const size of sizes) {
    const last = runs.at(-1);
    if (last !== undefined && placeOf(last[0]) === placeOf(size)) last.push(size);
    else runs.push([size]);
  }
  return runs;
}

/**
 * New names by tensor.
 * @throws UsageError naming every old name that is not an input of the cut, and every new one that is taken
 */
function newNamesOf(
  { view, span, names }: PlanningInputs,
  from: readonly Beginning[],
  inMap: PlanOptions['inMap'],
): ReadonlyMap<string, string> {
  if (inMap.size === 0) return new Map();
  const tensors = new Map<string, string>([
    ...span.inputs.filter((name) => !isInitializer(view, name)).map((name) => [name, name] as const),
    ...from.flatMap(({ name, tensor }) => [[name, tensor] as const, [tensor, tensor] as const]),
  ]);
  const problems: string[] = [];
  const found = new Map<string, string>();
  for (const [old, name] of inMap) {
    const tensor = tensors.get(old);
    const isTaken = name !== tensor && (names.has(name) || [...found.values()].includes(name));
    if (tensor === undefined) problems.push(`'${old}' is not an input of the cut`);
    else if (isTaken && inMap.has(name))
      problems.push(`'${name}' gets another name too, but stays in the graph under its own: names cannot be exchanged`);
    else if (isTaken) problems.push(`'${name}' is taken by another tensor`);
    else {
      found.set(tensor, name);
      names.claim(name);
    }
  }
  if (problems.length === 0) return found;
  throw new UsageError(`${option('inMap')}: ${problems.join('; ')}`, {
    code: 'FEATX_USAGE_IN_MAP',
    hint: `the inputs of the cut are ${[...new Set(tensors.values())].map((name) => `'${name}'`).join(', ') || 'none'}`,
  });
}

/** @throws UsageError if no Identity takes values of the type of an input */
function assertRenamable({ view, types, declared }: PlanningInputs, tensor: string, type: ValueType | null): void {
  if (canAlias(view.model, type ?? declared.get(tensor)?.type, types.get(tensor))) return;
  throw new UsageError(`the input '${tensor}' cannot have another name: no Identity of this opset takes its values`, {
    code: 'FEATX_USAGE_IN_MAP',
    hint: `leave it out of ${option('inMap')}`,
  });
}
