import { UsageError } from '../errors.js';
import type { Feature, Layout, TensorFacts } from '../features/feature.js';
import { functionsUsedBy, type GraphView } from '../onnx/graph.js';
import type { Dim, OnnxModel, ValueType } from '../onnx/records.js';
import type { NewNode } from '../onnx/encode.js';
import { dataTypeOf, type TensorTypes } from '../onnx/types.js';
import { NO_DROPS, type Drops, type GraphEdit, type OutputEdit } from './edit.js';
import { everything, keptFor, type Kept } from './kept.js';
import { convertLayout, type LayoutContext } from './layout.js';
import { NamePool } from './names.js';

export type Mode = 'dict' | 'list' | 'hook';

/** One selected feature: a tensor, or several to concatenate on axis 1. */
export interface Tap extends TensorFacts {
  /** Index into the FeatureInfo; null where it was selected by name. */
  readonly index: number | null;
  readonly module: string | null;
  readonly tensors: readonly string[];
}

export interface PlanOptions {
  readonly mode: Mode;
  /** Drop what the features do not need; always so in dict and list mode. */
  readonly rewrite: boolean;
  readonly keepOutputs: boolean;
  readonly order: 'out' | 'exec';
  readonly outMap: readonly string[] | null;
  readonly outputFmt: Layout | null;
}

export const DEFAULT_PLAN: PlanOptions = { mode: 'dict', rewrite: true, keepOutputs: false, order: 'out', outMap: null, outputFmt: null };

/** A feature as it leaves the graph. */
export interface PlannedOutput {
  readonly tap: Tap;
  readonly output: string;
  readonly shape: readonly Dim[] | null;
  readonly layout: Layout | null;
}

export interface Plan {
  readonly edit: GraphEdit;
  readonly outputs: readonly PlannedOutput[];
  readonly warnings: readonly string[];
}

/** Version of the default domain that goes with an IR version. @see https://github.com/onnx/onnx/blob/main/docs/Versioning.md */
const OPSET_OF_IR: { readonly [ir: number]: number } = { 3: 8, 4: 9, 5: 10, 6: 11, 7: 14, 8: 17, 9: 20, 10: 22 };

/**
 * What to change so that the taps become graph outputs.
 * @throws UsageError for names that collide or do not fit the selection; ResolveError for a layout that cannot be had
 */
export function planRewrite(view: GraphView, types: TensorTypes, taps: readonly Tap[], options: PlanOptions): Plan {
  const { model } = view;
  const warnings: string[] = [];
  const ordered = options.order === 'exec' ? inExecutionOrder(view, taps) : taps;
  if (ordered.length === 0) throw new UsageError('nothing is selected', { code: 'FEATX_USAGE_EMPTY', hint: 'select features with --out, --module, --tensor or --node' });
  assertTensors(view, ordered);
  const prune = options.mode !== 'hook' || options.rewrite;
  const keepsOwn = !prune || options.keepOutputs;
  const roots = [...ordered.flatMap(({ tensors }) => tensors), ...(keepsOwn ? model.graph.outputs.map(({ name }) => name) : [])];
  const kept = prune ? keptFor(view, roots) : everything(view);
  const names = new NamePool(view, kept, keepsOwn);
  assertSelection(ordered, options);

  const built = ordered.map((tap) => buildTap(view, types, tap, options, names));
  const outputNames = nameOutputs(view, built, options, names, warnings);
  const declared = declarationsOf(model);
  assertAliases(model, declared, types, built.filter(({ tensor }, position) => tensor !== outputNames[position]));
  const nodes: NewNode[] = built.flatMap((tap) => tap.nodes);
  const outputs = built.map((tap, position): OutputEdit => {
    const name = outputNames[position];
    if (name !== tap.tensor) nodes.push({ opType: 'Identity', name: names.fresh('featx/Identity'), inputs: [tap.tensor], outputs: [name] });
    return typedOutput(declared, types, tap, name, warnings);
  });
  // A name that stands twice among the outputs is one value.
  const own = joined([], model.graph.outputs.map(({ name }, index): OutputEdit => ({ name, borrow: { list: 'output', index }, type: null })));
  const drop = prune ? drops(view, kept, outputs, keepsOwn) : NO_DROPS;
  if (drop.trainingInfo) warnings.push('training_info is dropped: it refers to tensors that the cut leaves out');
  if (!view.sorted) warnings.push('the nodes of this model are not in topological order; their order is kept');
  const finalOutputs = !keepsOwn ? outputs : prune ? joined(outputs, own) : joined(own, outputs);
  const needsOpset = nodes.length > 0 && !model.opsetImports.some(({ domain }) => domain === '');
  return {
    edit: {
      drop, addNodes: nodes, addInitializers: [], outputs: finalOutputs, setMetadata: [],
      addOpsetImports: needsOpset ? [{ domain: '', version: OPSET_OF_IR[model.irVersion] ?? (model.irVersion < 3 ? 7 : 22) }] : [],
    },
    outputs: built.map(({ tap, shape }, position) => ({ tap, shape, output: outputNames[position], layout: options.outputFmt ?? tap.layout })),
    warnings,
  };
}

/** Outputs of both lists, those of the first in front; an output that stands in both keeps its first place. */
function joined(first: readonly OutputEdit[], second: readonly OutputEdit[]): readonly OutputEdit[] {
  const byName = new Map<string, OutputEdit>();
  for (const output of [...first, ...second]) if (!byName.has(output.name)) byName.set(output.name, output);
  return [...byName.values()];
}

/** timm's order: as the network computes them. */
function inExecutionOrder(view: GraphView, taps: readonly Tap[]): readonly Tap[] {
  const position = ({ tensors }: Tap): number => Math.max(...tensors.map((name) => view.producerOf.get(name)?.node.index ?? -1));
  return [...taps].sort((a, b) => position(a) - position(b));
}

function assertTensors({ producerOf, inputs, initializers, sparseInitializers }: GraphView, taps: readonly Tap[]): void {
  const absent = taps.flatMap(({ tensors }) => tensors).filter((name) => ![producerOf, inputs, initializers, sparseInitializers].some((known) => known.has(name)));
  if (absent.length > 0) throw new UsageError(`the main graph has no tensor ${quoted(absent)}`, { code: 'FEATX_USAGE_TENSOR', hint: 'list every tensor with `featx inspect MODEL --tensors`' });
}

function assertSelection(taps: readonly Tap[], { mode, outMap }: PlanOptions): void {
  if (outMap !== null && outMap.length !== taps.length) {
    throw new UsageError(`--out-map names ${outMap.length} outputs, but ${taps.length} features are selected`, { code: 'FEATX_USAGE_OUT_MAP', hint: 'give one name per selected feature, in their order' });
  }
  const repeated = repeatedIn(outMap ?? []);
  if (repeated.length > 0) throw new UsageError(`--out-map repeats ${quoted(repeated)}`, { code: 'FEATX_USAGE_OUT_MAP' });
  if (outMap?.includes('')) throw new UsageError('--out-map has an empty name', { code: 'FEATX_USAGE_OUT_MAP' });
  if (mode !== 'dict' || outMap !== null) return;
  const keys = taps.map(({ index, tensors }) => (index === null ? tensors.join('+') : String(index)));
  const twice = repeatedIn(keys);
  if (twice.length > 0) throw new UsageError(`${quoted(twice)} selected twice: a dict has one entry per key`, { code: 'FEATX_USAGE_DUPLICATE', hint: 'leave out the repetition, name the outputs with --out-map, or use --mode list' });
}

function repeatedIn(names: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return names.filter((name) => seen.size === seen.add(name).size);
}

function quoted(names: readonly string[]): string {
  return [...new Set(names)].map((name) => `'${name}'`).join(', ');
}

/** A tap with the nodes that concatenate it and bring it into the layout asked for. */
interface BuiltTap {
  readonly tap: Tap;
  readonly nodes: readonly NewNode[];
  readonly tensor: string;
  readonly shape: readonly Dim[] | null;
  /** Whether `tensor` is the model's own and keeps its type. */
  readonly own: boolean;
}

function buildTap(view: GraphView, types: TensorTypes, tap: Tap, { outputFmt }: PlanOptions, names: NamePool): BuiltTap {
  const nodes: NewNode[] = [];
  let [tensor] = tap.tensors;
  let shape = tap.shape;
  if (tap.tensors.length > 1) {
    tensor = names.fresh('featx/Concat');
    nodes.push({ opType: 'Concat', name: tensor, inputs: tap.tensors, outputs: [tensor], attributes: [{ name: 'axis', int: 1 }] });
    shape = concatenated(tap.tensors.map((name) => types.get(name)?.shape ?? null));
  }
  if (outputFmt !== null && (outputFmt !== tap.layout || tap.prefixTokens > 0)) {
    const conversion = convertLayout(tensor, { ...tap, shape }, outputFmt, layoutContext(view, types, tap, names), tap.index === null ? `'${tensor}'` : `feature ${tap.index}`);
    return { tap, nodes: [...nodes, ...conversion.nodes], tensor: conversion.tensor, shape: conversion.shape, own: false };
  }
  return { tap, nodes, tensor, shape, own: nodes.length === 0 };
}

function concatenated(shapes: readonly (readonly Dim[] | null)[]): readonly Dim[] | null {
  const [first] = shapes;
  if (first === null || shapes.some((shape) => shape?.length !== first.length)) return null;
  const channels = shapes.map((shape) => shape?.[1]);
  const sum = channels.every((dim) => typeof dim === 'number') ? channels.reduce((total, dim) => total + dim, 0) : null;
  return first.map((dim, axis) => (axis === 1 ? sum : shapes.every((shape) => shape?.[axis] === dim) ? dim : null));
}

function layoutContext(view: GraphView, types: TensorTypes, { tensors }: Tap, names: NamePool): LayoutContext {
  const { model } = view;
  const above = keptFor(view, tensors).tensors;
  const image = model.graph.inputs.find(({ name }) => above.has(name) && !view.initializers.has(name) && types.get(name)?.shape?.length === 4);
  const shape = image === undefined ? null : types.get(image.name)?.shape ?? null;
  const isChannels = (dim: Dim | undefined): boolean => dim === 1 || dim === 3 || dim === 4;
  return {
    opset: model.opsetImports.find(({ domain }) => domain === '')?.version ?? 13,
    image: image === undefined ? null : { name: image.name, shape, layout: !isChannels(shape?.[1]) && isChannels(shape?.[3]) ? 'NHWC' : 'NCHW' },
    fresh: (base) => names.fresh(base),
  };
}

/** One name per output: the map's, else `str(index)` in a dict, else the tensor's own. */
function nameOutputs(view: GraphView, built: readonly BuiltTap[], { mode, outMap }: PlanOptions, names: NamePool, warnings: string[]): readonly string[] {
  if (outMap !== null) {
    const taken = outMap.filter((name, position) => names.has(name) && !isOwnName(view, built[position], name));
    if (taken.length > 0) throw new UsageError(`--out-map: ${quoted(taken)} ${taken.length === 1 ? 'is' : 'are'} taken by another tensor of the model`, { code: 'FEATX_USAGE_OUT_MAP', hint: 'choose names that the model does not use' });
    for (const name of outMap) names.claim(name);
    return outMap;
  }
  const reused = new Set<string>();
  return built.map((tap) => {
    const { index, tensors } = tap.tap;
    const wanted = mode === 'dict' && index !== null ? String(index) : tensors.length > 1 ? tap.tap.module ?? tensors[0] : tensors[0];
    if (tap.own && tap.tensor === wanted && names.isGivenAway(wanted) && view.outputs.has(wanted) && !reused.has(wanted)) {
      reused.add(wanted);
      return wanted;
    }
    if (!names.isGivenAway(wanted) && (isOwnName(view, tap, wanted) || !names.has(wanted))) {
      names.claim(wanted);
      reused.add(wanted);
      return wanted;
    }
    const name = names.fresh(index === null ? `${wanted}_feature` : `feature_${index}`);
    if (!(tap.own && tensors[0] === wanted)) warnings.push(`the name '${wanted}' is taken by another tensor; ${index === null ? 'the output' : `feature ${index}`} is named '${name}'`);
    names.claim(name);
    return name;
  });
}

/** Whether an output of that name is the tapped tensor itself: no alias is needed. Inputs and initializers never leave bare. */
function isOwnName(view: GraphView, { tensor, own }: BuiltTap, name: string): boolean {
  return own && tensor === name && view.producerOf.has(name);
}

/** Identity takes tensors, sequences of tensors from opset 14 on, and optionals from opset 16 on. @throws UsageError */
function assertAliases(model: OnnxModel, declared: Declarations, types: TensorTypes, renamed: readonly BuiltTap[]): void {
  const opset = model.opsetImports.find(({ domain }) => domain === '')?.version ?? 0;
  const refused = renamed.filter(({ tensor, own }) => {
    const type = own ? declared.get(tensor)?.type : undefined;
    const kind = type?.kind ?? types.get(tensor)?.type ?? 'tensor';
    if (kind === 'sequence') return opset < 14 || (type?.kind === 'sequence' && type.element !== null && type.element.kind !== 'tensor');
    return kind === 'optional' ? opset < 16 : kind !== 'tensor';
  });
  if (refused.length === 0) return;
  throw new UsageError(`${quoted(refused.map(({ tensor }) => tensor))}: what is no tensor cannot leave under another name in this model (opset ${opset})`, {
    code: 'FEATX_USAGE_ALIAS', hint: 'leave out --out-map and repetitions, and select it by name: it keeps its own name',
  });
}

function typedOutput(declared: Declarations, types: TensorTypes, { tap, tensor, shape, own }: BuiltTap, name: string, warnings: string[]): OutputEdit {
  if (own) {
    const declaration = declared.get(tensor);
    if (declaration !== undefined) return { name, borrow: declaration.borrow, type: null };
  }
  const known = types.get(own ? tensor : tap.tensors[0]);
  const elemType = dataTypeOf(known?.dtype ?? '');
  if (elemType > 0 && known?.type === undefined) {
    const type: ValueType = { kind: 'tensor', elemType, shape: own ? known?.shape ?? null : shape };
    if (type.shape === null) warnings.push(`the shape of the output '${name}' is not known; it is left open`);
    return { name, borrow: null, type };
  }
  warnings.push(`the type of the output '${name}' is not known; only its name is written`);
  return { name, borrow: null, type: null };
}

/** What the file itself says of tensors, and where. */
type Declarations = ReadonlyMap<string, { readonly borrow: OutputEdit['borrow']; readonly type: ValueType }>;

function declarationsOf({ graph }: OnnxModel): Declarations {
  const declared = new Map<string, { readonly borrow: OutputEdit['borrow']; readonly type: ValueType }>();
  for (const [list, infos] of [['output', graph.outputs], ['valueInfo', graph.valueInfo], ['input', graph.inputs]] as const) {
    infos.forEach(({ name, type }, index) => {
      const says = type !== null && !('elemType' in type && type.elemType === 0);
      if (says && !declared.has(name)) declared.set(name, { borrow: { list, index }, type });
    });
  }
  return declared;
}

/** What a pruned graph leaves out: everything that no kept node, output or annotation refers to. */
function drops(view: GraphView, { nodes, tensors }: Kept, outputs: readonly OutputEdit[], keepsOwn: boolean): Drops {
  const { model } = view;
  const { graph } = model;
  const outputNames = new Set(outputs.map(({ name }) => name));
  if (keepsOwn) for (const { name } of graph.outputs) outputNames.add(name);
  const usedFunctions = functionsUsedBy(model, nodes);
  return {
    nodes: indicesWhere(graph.nodes, (node) => !nodes.has(node)),
    initializers: indicesWhere(graph.initializers, ({ name }) => !tensors.has(name)),
    sparseInitializers: indicesWhere(graph.sparseInitializers, ({ values }) => values !== null && !tensors.has(values.name)),
    inputs: indicesWhere(graph.inputs, ({ name }) => !tensors.has(name)),
    valueInfo: indicesWhere(graph.valueInfo, ({ name }) => !tensors.has(name) || outputNames.has(name)),
    quantizationAnnotations: indicesWhere(graph.quantizationAnnotations, ({ tensorName }) => !tensors.has(tensorName)),
    functions: indicesWhere(model.functions, (definition) => !usedFunctions.has(definition)),
    metadata: [],
    trainingInfo: model.trainingInfo.length > 0,
  };
}

function indicesWhere<T>(list: readonly T[], test: (item: T) => boolean): readonly number[] {
  const indices: number[] = [];
  list.forEach((item, index) => void (test(item) && indices.push(index)));
  return indices;
}

/** The FeatureInfo that a cut carries: the whole list, `tensor` null for what is no longer there. */
export function cutFeatures(view: GraphView, features: readonly Feature[], edit: GraphEdit): readonly Feature[] {
  const { graph } = view.model;
  const { drop } = edit;
  const nodes = new Set(drop.nodes);
  const given = new Set([...drop.inputs.map((index) => graph.inputs[index].name), ...drop.initializers.map((index) => graph.initializers[index].name)]);
  const isKept = (tensor: string): boolean => {
    const producer = view.producerOf.get(tensor);
    return producer === undefined ? (view.inputs.has(tensor) || view.initializers.has(tensor)) && !given.has(tensor) : !nodes.has(producer.node.index);
  };
  return features.map((feature) => (feature.tensor !== null && !isKept(feature.tensor) ? { ...feature, tensor: null } : feature));
}
